package dev.mdev.core.vm;

import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.machinestate.MachineStateFormat;
import dev.mdev.core.machinestate.MachineStateWriter;
import dev.mdev.core.memslot.DirtyBitmap;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// Copies the RAM of a machine to a stream while its guest writes to it. One thread.
final class RamCopy {
    private static final byte[] ZERO_PAGE = new byte[Page.SIZE];

    private final HostMemory.Block ram;
    private final long npages;
    private final MachineDirtyLog.Copying log;
    private final Runnable requireOpen;
    private final byte[] buffer = new byte[MachineStateFormat.MAX_PAGES * Page.SIZE];

    /// Pages that were written since they were copied.
    private final DirtyBitmap waiting;

    private long copied;

    /// @param log has all writes since it began
    /// @param requireOpen throws if the machine is being closed
    RamCopy(HostMemory.Block ram, MachineDirtyLog.Copying log, Runnable requireOpen) {
        this.ram = ram;
        this.log = log;
        this.requireOpen = requireOpen;
        npages = ram.pfns().npages();
        waiting = new DirtyBitmap(npages);
    }

    /// Copied pages that were not zero.
    long copied() {
        return copied;
    }

    /// Copies all pages that are not zero.
    void copyAll(MachineStateWriter writer) throws IOException {
        for (long page = 0; page < npages; page += MachineStateFormat.MAX_PAGES) {
            int count = (int) Math.min(npages - page, MachineStateFormat.MAX_PAGES);
            copy(page, count, writer, false);
        }
    }

    /// Takes the pages that were written meanwhile.
    ///
    /// @return how many wait to be copied
    long take() {
        var _ = log.takeRam(waiting::setAll);
        return waiting.cardinality();
    }

    /// Copies the pages that wait.
    void copyWaiting(MachineStateWriter writer) throws IOException {
        for (int word = 0; word < waiting.words(); word++) {
            long left = waiting.getAndClear(word);
            while (left != 0) {
                int first = Long.numberOfTrailingZeros(left);
                int count = Long.numberOfTrailingZeros(~(left >>> first));
                copy((long) word * Long.SIZE + first, count, writer, true);
                left &= ~(-1L >>> (Long.SIZE - count) << first);
            }
        }
    }

    /// @param zeroes whether pages that are zero must be named, because they may not have been so
    private void copy(long page, int count, MachineStateWriter writer, boolean zeroes)
            throws IOException {
        requireOpen.run();
        ram.read(
                Page.addressOf(page),
                MemorySegment.ofArray(buffer).asSlice(0, Page.bytesOf(count)));
        int first = 0;
        while (first < count) {
            boolean zero = isZero(first);
            int end = first + 1;
            while (end < count && isZero(end) == zero) {
                end++;
            }
            if (!zero) {
                writer.pages(page + first, buffer, first * Page.SIZE, (end - first) * Page.SIZE);
                copied += end - first;
            } else if (zeroes) {
                writer.zeroes(page + first, end - first);
            }
            first = end;
        }
    }

    private boolean isZero(int page) {
        int offset = page * Page.SIZE;
        return Arrays.mismatch(buffer, offset, offset + Page.SIZE, ZERO_PAGE, 0, Page.SIZE) < 0;
    }
}
