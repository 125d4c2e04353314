package dev.mdev.core.guestmem;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.page.Access;
import dev.mdev.core.dma.DmaMemory;
import dev.mdev.core.memslot.AddressSpaces;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/// A range whose translation is remembered by the generation of the slots. What the cache cannot
/// serve (absent or read-only memory, pages that must be faulted in, a slot that is changing) takes
/// the usual way, which also gives the reason of a failure.
final class CachedRange implements DmaMemory.Range {
    private final DmaMemory memory;
    private final AddressSpaces slots;
    private final long gpa;
    private final long lengthBytes;

    /// A leaf, except for read sections of the slots.
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final GuestMemoryCache cache;

    /// Whether the cache was pointed at the range: it was there once.
    @GuardedBy("lock")
    private boolean pointed;

    /// @param host reads and writes pages that are mapped, and fails for others
    CachedRange(
            DmaMemory memory,
            AddressSpaces slots,
            HostMemoryAccess host,
            long gpa,
            long lengthBytes) {
        this.memory = memory;
        this.slots = slots;
        this.gpa = gpa;
        this.lengthBytes = lengthBytes;
        cache = new GuestMemoryCache(slots, host);
    }

    @Override
    public DmaMemory.Copied copy(
            long offsetBytes, MemorySegment buffer, Access access, BooleanSupplier allowed) {
        return tryCached(offsetBytes, buffer, access, allowed)
                ? new DmaMemory.Copied(buffer.byteSize(), "")
                : memory.copy(gpa + offsetBytes, buffer, access, allowed);
    }

    private boolean wraps() {
        return Long.compareUnsigned(gpa + lengthBytes - 1, gpa) < 0;
    }

    private boolean tryCached(
            long offsetBytes, MemorySegment buffer, Access access, BooleanSupplier allowed) {
        lock.lock();
        int section = slots.srcu().readLock();
        try {
            pointed = pointed || (!wraps() && cache.init(gpa, lengthBytes).isOk());
            if (!pointed || !allowed.getAsBoolean()) {
                return false;
            }
            AccessOutcome outcome =
                    switch (access) {
                        case READ -> cache.read(offsetBytes, buffer);
                        case WRITE -> cache.write(offsetBytes, buffer);
                    };
            return outcome.isOk();
        } finally {
            slots.srcu().readUnlock(section);
            lock.unlock();
        }
    }
}
