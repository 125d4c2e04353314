package dev.mdev.core.elastic;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;

/// Slots in this process's memory outside the Java heap, taken in slabs and used again. No more
/// than the device has pages.
final class MemorySlots implements SlotStore {
    private static final long SLAB_PAGES = 256;

    private final Arena arena = Arena.ofShared();

    @GuardedBy("this")
    private final Map<Long, MemorySegment> slots = new HashMap<>();

    @GuardedBy("this")
    private final ArrayDeque<MemorySegment> free = new ArrayDeque<>();

    /// Pages for which no memory was taken yet.
    @GuardedBy("this")
    private long leftPages;

    /// @param npages all pages of the device
    MemorySlots(long npages) {
        leftPages = npages;
    }

    @Override
    public void write(long page, byte[] bytes, int offset) {
        MemorySegment.copy(bytes, offset, slotFor(page), ValueLayout.JAVA_BYTE, 0, Page.SIZE);
    }

    private synchronized MemorySegment slotFor(long page) {
        MemorySegment slot = slots.get(page);
        if (slot == null) {
            if (free.isEmpty()) {
                addSlab();
            }
            slot = free.removeFirst();
            slots.put(page, slot);
        }
        return slot;
    }

    @GuardedBy("this")
    private void addSlab() {
        long npages = Math.min(SLAB_PAGES, leftPages);
        if (npages == 0) {
            throw new MdevException(Errno.ENOSPC, "more pages than the device has");
        }
        MemorySegment slab;
        try {
            slab = arena.allocate(Page.bytesOf(npages), Page.SIZE);
        } catch (OutOfMemoryError e) {
            throw new MdevException(Errno.ENOSPC, "no memory for the backing store", e);
        }
        leftPages -= npages;
        for (long i = 0; i < npages; i++) {
            free.add(slab.asSlice(Page.bytesOf(i), Page.SIZE));
        }
    }

    @Override
    public void read(long page, byte[] bytes, int offset) {
        MemorySegment slot;
        synchronized (this) {
            slot = slots.get(page);
        }
        if (slot == null) {
            throw new MdevException(Errno.EIO, "not in the backing store: page=" + page);
        }
        MemorySegment.copy(slot, ValueLayout.JAVA_BYTE, 0, bytes, offset, Page.SIZE);
    }

    @Override
    public synchronized void drop(long page) {
        MemorySegment slot = slots.remove(page);
        if (slot != null) {
            free.add(slot);
        }
    }

    @Override
    public void close() {
        arena.close();
    }
}
