package dev.mdev.core.engine.barfile;

import java.util.concurrent.atomic.LongAdder;

/// Counts what happens at one file. Any thread.
final class BarCounters {
    private final LongAdder touches = new LongAdder();
    private final LongAdder pagesRead = new LongAdder();
    private final LongAdder readsSplit = new LongAdder();
    private final LongAdder refused = new LongAdder();
    private final LongAdder timedOut = new LongAdder();
    private final LongAdder overflowed = new LongAdder();
    private final LongAdder storesLost = new LongAdder();
    private volatile String lastRefusal = "";

    void touched() {
        touches.increment();
    }

    void pagesRead(long npages) {
        pagesRead.add(npages);
    }

    void readSplit() {
        readsSplit.increment();
    }

    void refused() {
        refused.increment();
    }

    void timedOut() {
        timedOut.increment();
    }

    void overflowed() {
        overflowed.increment();
    }

    void storesLost() {
        storesLost.increment();
    }

    void lastRefusal(String reason) {
        lastRefusal = reason;
    }

    BarFileCounts snapshot() {
        return new BarFileCounts(
                touches.sum(),
                pagesRead.sum(),
                readsSplit.sum(),
                refused.sum(),
                timedOut.sum(),
                overflowed.sum(),
                storesLost.sum(),
                lastRefusal);
    }
}
