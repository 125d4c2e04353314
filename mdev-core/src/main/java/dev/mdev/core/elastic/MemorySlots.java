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

/// Slots in this process's memory outside the Java heap, taken in slabs and used again.
final class MemorySlots implements SlotStore {
    private static final int SLAB_PAGES = 256;

    private final Arena arena = Arena.ofShared();

    @GuardedBy("this")
    private final Map<Long, MemorySegment> slots = new HashMap<>();

    @GuardedBy("this")
    private final ArrayDeque<MemorySegment> free = new ArrayDeque<>();

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
        MemorySegment slab;
        try {
            slab = arena.allocate((long) SLAB_PAGES * Page.SIZE, Page.SIZE);
        } catch (OutOfMemoryError e) {
            throw new MdevException(Errno.ENOSPC, "no memory for the backing store", e);
        }
        for (int i = 0; i < SLAB_PAGES; i++) {
            free.add(slab.asSlice((long) i * Page.SIZE, Page.SIZE));
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
