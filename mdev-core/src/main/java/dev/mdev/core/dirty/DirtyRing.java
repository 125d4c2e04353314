package dev.mdev.core.dirty;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;

/// The dirty ring of one vCPU, from the kernel's side (Linux `struct kvm_dirty_ring`). The VMM's
/// side is [DirtyRingHarvester]; both work on the same memory, whose layout is [DirtyRingEntry].
///
/// Indices run freely; `used` is their difference. A push advances one, a reset the other; the
/// harvest lies in between.
///
/// Threads: only the thread that runs the vCPU pushes and enters the guest; one thread at a time
/// resets, with the slots lock held.
public final class DirtyRing {
    /// The maximum number of entries of a ring.
    public static final int MAX_ENTRIES = 65536;

    /// Bytes of an entry.
    public static final int ENTRY_BYTES = DirtyRingEntry.SIZE_BYTES;

    /// The maximum number of bytes of a ring.
    public static final int MAX_SIZE_BYTES = MAX_ENTRIES * DirtyRingEntry.SIZE_BYTES;

    /// Entries kept free at the end for writes that cannot wait, without those of the processor's
    /// own log (Linux `KVM_DIRTY_RING_RSVD_ENTRIES`).
    static final int RESERVED_ENTRIES = 64;

    private final MemorySegment memory;
    private final int entries;
    private final int softLimit;
    private final AtomicLong overruns = new AtomicLong();

    /// Free-running; written by the vCPU's thread.
    private volatile int dirtyIndex;

    /// Free-running; written by the resetter.
    private volatile int resetIndex;

    /// Set by a push at or above the soft limit, checked before each entry to the guest; both on
    /// the vCPU's thread.
    private boolean exitRequested;

    /// @param memory zeros, aligned to 16; its size is that of the ring, a power of two
    /// @param reservedEntries entries kept free, fewer than the ring has
    DirtyRing(MemorySegment memory, int reservedEntries) {
        long count = memory.byteSize() / DirtyRingEntry.SIZE_BYTES;
        if (Long.bitCount(memory.byteSize()) != 1
                || count > MAX_ENTRIES
                || reservedEntries < 0
                || reservedEntries >= count) {
            throw new MdevException(
                    Errno.EINVAL,
                    "sizeBytes=0x%x reservedEntries=%d"
                            .formatted(memory.byteSize(), reservedEntries));
        }
        this.memory = memory;
        this.entries = (int) count;
        this.softLimit = entries - reservedEntries;
    }

    /// The ring's memory, shared with the VMM.
    public MemorySegment memory() {
        return memory;
    }

    /// Entries of the ring.
    public int entries() {
        return entries;
    }

    /// Entries in use at which the vCPU leaves the guest.
    public int softLimit() {
        return softLimit;
    }

    /// Entries pushed and not yet reset, unsigned. A VMM that marks entries as harvested before
    /// they are pushed can make it any number.
    public int used() {
        return dirtyIndex - resetIndex;
    }

    /// Whether the soft limit is reached.
    public boolean isSoftFull() {
        return Integer.compareUnsigned(used(), softLimit) >= 0;
    }

    /// How often a push into a full ring overwrote the oldest entry. This can happen only if more
    /// writes than the reserve occur between two entries to the guest.
    public long overruns() {
        return overruns.get();
    }

    /// Records a page (Linux `kvm_dirty_ring_push`). The ring may contain it twice.
    void push(int slotNumber, long index) {
        if (Integer.compareUnsigned(used(), entries) >= 0) {
            overruns.incrementAndGet();
        }
        int at = dirtyIndex;
        DirtyRingEntry.publishRelease(memory, positionOf(at), slotNumber, index);
        dirtyIndex = at + 1;
        if (isSoftFull()) {
            exitRequested = true;
        }
    }

    /// Called before every entry to the guest (Linux `kvm_dirty_ring_check_request`): whether the
    /// vCPU must stay out and report its full ring to the VMM. True until enough entries are reset.
    public boolean mustExit() {
        if (!exitRequested) {
            return false;
        }
        exitRequested = isSoftFull();
        return exitRequested;
    }

    /// Frees the harvested entries at the front, up to the first unharvested one.
    ///
    /// @param batch gets the entries
    /// @return whether a harvested entry was next; false if there was nothing to do
    boolean resetOne(DirtyRingBatch batch) {
        int at = resetIndex;
        long position = positionOf(at);
        if ((DirtyRingEntry.flagsAcquire(memory, position) & DirtyRingEntry.RESET) == 0) {
            return false;
        }
        int slotNumber = DirtyRingEntry.slot(memory, position);
        long offset = DirtyRingEntry.offset(memory, position);
        DirtyRingEntry.markEmptyRelease(memory, position);
        resetIndex = at + 1;
        batch.add(slotNumber, offset);
        return true;
    }

    private long positionOf(int index) {
        return index & (entries - 1);
    }
}
