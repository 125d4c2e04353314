package dev.mdev.core.mmu;

/// The protocol between faults and invalidations (Linux `mmu_invalidate_seq` and
/// `mmu_invalidate_in_progress`): a fault reads the sequence before it resolves anything. It
/// publishes its result only if, under the MMU's lock, no invalidation of its frame is running and
/// none has ended since.
///
/// All methods but [#read] are called with the MMU's lock held.
final class InvalidateSeq {
    private volatile long sequence;
    private int inProgress;

    /// The hull of all frames under invalidation, valid while one is running: `[first, end)`.
    private long firstGfn;

    private long endGfn;

    /// Must be read before anything is resolved.
    long read() {
        return sequence;
    }

    /// An invalidation begins. Followed by [#addLocked] for each of its ranges.
    void beginLocked() {
        if (inProgress++ == 0) {
            firstGfn = Long.MAX_VALUE;
            endGfn = 0;
        }
    }

    void addLocked(long first, long end) {
        firstGfn = Math.min(firstGfn, first);
        endGfn = Math.max(endGfn, end);
    }

    @SuppressWarnings("NonAtomicVolatileUpdate") // under the MMU's lock
    void endLocked() {
        sequence++;
        inProgress--;
    }

    /// Whether a result for `gfn`, resolved after `seq` was read, must be discarded.
    boolean mustRetryLocked(long seq, long gfn) {
        return (inProgress > 0 && gfn >= firstGfn && gfn < endGfn) || sequence != seq;
    }

    /// Whether one of the frames `[first, end)` is under invalidation.
    boolean touchesLocked(long first, long end) {
        return inProgress > 0 && first < endGfn && end > firstGfn;
    }
}
