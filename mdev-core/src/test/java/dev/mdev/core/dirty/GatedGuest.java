package dev.mdev.core.dirty;

import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.SlotRequests;
import dev.mdev.core.support.Together;

import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.IntPredicate;

/// Two vCPUs that write pages of one slot, with write protection whose flush waits for accesses in
/// flight. A page's content is how often it was written.
final class GatedGuest implements DirtyProtector {
    static final int PAGES = 200;
    static final int SLOT = 1;

    private final AddressSpaces slots;
    private final boolean protects;
    private final Memslot slot;
    private final AtomicLongArray memory = new AtomicLongArray(PAGES);
    private final AtomicIntegerArray writable = new AtomicIntegerArray(PAGES);
    private final ReentrantReadWriteLock gate = new ReentrantReadWriteLock();
    private final ReentrantLock mmuLock = new ReentrantLock();
    private final AtomicInteger running = new AtomicInteger(2);
    private final long[] copy = new long[PAGES];
    private IntPredicate leaves = _ -> false;

    GatedGuest(AddressSpaces slots, boolean protects) {
        this.slots = slots;
        this.protects = protects;
        slots.setUserMemoryRegion(
                SlotRequests.region(SLOT, SlotFlags.LOG_DIRTY_PAGES, 0x1000, PAGES));
        this.slot = Objects.requireNonNull(slots.slotOf(SLOT));
    }

    /// Says when a vCPU must not enter the guest.
    void leavesWhen(IntPredicate mustExit) {
        leaves = mustExit;
    }

    /// Writes pages on the thread of a vCPU.
    void run(int vcpuId, int writes) {
        try {
            SplittableRandom random = new SplittableRandom(vcpuId);
            for (int i = 0; i < writes; i++) {
                Together.await("the ring has room", () -> !leaves.test(vcpuId));
                write(random.nextInt(PAGES), vcpuId);
            }
        } finally {
            running.decrementAndGet();
        }
    }

    private void write(int page, int vcpuId) {
        gate.readLock().lock();
        try {
            if (writable.get(page) == 0) {
                fault(page, vcpuId);
            }
            memory.incrementAndGet(page);
        } finally {
            gate.readLock().unlock();
        }
    }

    /// Records and grants under the lock that taking rights needs. Otherwise a VMM could find the
    /// record, take a right that is not there yet, and the grant would then go unrecorded.
    private void fault(int page, int vcpuId) {
        mmuLock.lock();
        try {
            slots.markDirty(slot, slot.baseGfn() + page, vcpuId);
            writable.set(page, 1);
        } finally {
            mmuLock.unlock();
        }
    }

    boolean isDone() {
        return running.get() == 0;
    }

    @Override
    public void protect(Memslot in, long baseIndex, long bits) {
        mmuLock.lock();
        try {
            for (long left = protects ? bits : 0; left != 0; left &= left - 1) {
                writable.set((int) baseIndex + Long.numberOfTrailingZeros(left), 0);
            }
        } finally {
            mmuLock.unlock();
        }
    }

    @Override
    public void flush() {
        gate.writeLock().lock();
        try {
            // Whoever was inside when the lock was asked for is outside now.
            assert gate.isWriteLockedByCurrentThread();
        } finally {
            gate.writeLock().unlock();
        }
    }

    void copy(int word, long bits) {
        for (long left = bits; left != 0; left &= left - 1) {
            int page = word * Long.SIZE + Long.numberOfTrailingZeros(left);
            copy[page] = memory.get(page);
        }
    }

    long pagesThatDiffer() {
        long differ = 0;
        for (int page = 0; page < PAGES; page++) {
            differ += copy[page] == memory.get(page) ? 0 : 1;
        }
        return differ;
    }
}
