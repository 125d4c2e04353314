package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.store.CrashPlan;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.BitSet;

/// Memory of a device that keeps its content when the process dies, as memory on a card does. Some
/// of its pages may be broken.
final class Vram {
    private static final byte[] ZEROES = new byte[Page.SIZE];

    private final byte[] content;
    private final BitSet stuck = new BitSet();
    private final BitSet dead = new BitSet();

    /// Runs at the beginning of each fill.
    volatile Runnable onFill = () -> {};

    Vram(long npages) {
        content = new byte[Math.toIntExact(Page.bytesOf(npages))];
    }

    long npages() {
        return Page.numberOf(content.length);
    }

    /// Lets a page keep its content, regardless of writes.
    void stick(int page) {
        stuck.set(page);
    }

    /// Lets accesses to a page throw.
    void kill(int page) {
        dead.set(page);
    }

    void heal() {
        stuck.clear();
        dead.clear();
    }

    byte at(long offsetBytes) {
        return content[Math.toIntExact(offsetBytes)];
    }

    /// Whether all bytes of these pages are zero.
    boolean isZero(long firstPage, long npages) {
        for (int page = (int) firstPage; page < firstPage + npages; page++) {
            int start = page * Page.SIZE;
            if (Arrays.mismatch(content, start, start + Page.SIZE, ZEROES, 0, Page.SIZE) >= 0) {
                return false;
            }
        }
        return true;
    }

    /// The memory as one process sees it.
    ///
    /// @param firstPfn differs from process to process
    Aperture mapped(long firstPfn, CrashPlan plan) {
        return new Aperture() {
            @Override
            public PfnRange pfns() {
                return new PfnRange(firstPfn, npages());
            }

            @Override
            public void read(long offsetBytes, MemorySegment destination) {
                requireAlive(offsetBytes, destination.byteSize());
                MemorySegment.copy(
                        MemorySegment.ofArray(content),
                        offsetBytes,
                        destination,
                        0,
                        destination.byteSize());
            }

            @Override
            public void write(long offsetBytes, MemorySegment source) {
                plan.step();
                requireAlive(offsetBytes, source.byteSize());
                change(offsetBytes, source);
                plan.step();
            }

            @Override
            public void fill(long offsetBytes, long lengthBytes, byte value) {
                onFill.run();
                plan.step();
                requireAlive(offsetBytes, lengthBytes);
                byte[] bytes = new byte[(int) lengthBytes];
                Arrays.fill(bytes, value);
                MemorySegment source = MemorySegment.ofArray(bytes);
                change(offsetBytes, source.asSlice(0, lengthBytes / 2));
                plan.step();
                change(offsetBytes + lengthBytes / 2, source.asSlice(lengthBytes / 2));
            }
        };
    }

    private void requireAlive(long offsetBytes, long lengthBytes) {
        int first = (int) Page.numberOf(offsetBytes);
        int end = (int) Page.countFor(offsetBytes + lengthBytes);
        int hit = dead.nextSetBit(first);
        if (hit >= 0 && hit < end) {
            throw new IllegalStateException("page " + hit + " is dead");
        }
    }

    private void change(long offsetBytes, MemorySegment source) {
        long done = 0;
        while (done < source.byteSize()) {
            long at = offsetBytes + done;
            long length = Math.min(Page.SIZE - Page.offsetOf(at), source.byteSize() - done);
            if (!stuck.get((int) Page.numberOf(at))) {
                MemorySegment.copy(source, done, MemorySegment.ofArray(content), at, length);
            }
            done += length;
        }
    }
}
