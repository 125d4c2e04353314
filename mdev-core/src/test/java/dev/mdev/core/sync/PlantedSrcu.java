package dev.mdev.core.sync;

import java.util.concurrent.atomic.AtomicLongArray;

/// The algorithm of [Srcu] without its stripes, and with one mistake that a test has to find.
final class PlantedSrcu implements ReadSections {
    enum Mistake {
        /// `synchronize` does not wait at all.
        DOES_NOT_WAIT,
        /// `synchronize` drains one phase only: it misses a reader that took its phase before the
        /// flip before, and counted itself in after it.
        DRAINS_ONE_PHASE,
        /// The begun are summed before the ended: a section that begins and ends in between makes
        /// up for one that is open.
        SUMS_BEGUN_FIRST
    }

    private final Mistake mistake;
    private final AtomicLongArray begun = new AtomicLongArray(2);
    private final AtomicLongArray ended = new AtomicLongArray(2);
    private volatile int phase;

    PlantedSrcu(Mistake mistake) {
        this.mistake = mistake;
    }

    @Override
    public int readLock() {
        int token = phase;
        begun.incrementAndGet(token);
        return token;
    }

    @Override
    public void readUnlock(int token) {
        ended.incrementAndGet(token);
    }

    @Override
    public boolean trySynchronize() {
        if (mistake == Mistake.DOES_NOT_WAIT) {
            return true;
        }
        if (mistake != Mistake.DRAINS_ONE_PHASE && !isIdle(phase ^ 1)) {
            return false;
        }
        int old = phase;
        phase = old ^ 1;
        return isIdle(old);
    }

    private boolean isIdle(int asked) {
        if (mistake == Mistake.SUMS_BEGUN_FIRST) {
            return begun.get(asked) == ended.get(asked);
        }
        long endedSum = ended.get(asked);
        return endedSum == begun.get(asked);
    }
}
