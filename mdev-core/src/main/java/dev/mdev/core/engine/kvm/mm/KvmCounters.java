package dev.mdev.core.engine.kvm.mm;

import java.util.concurrent.atomic.LongAdder;

/// Counts a machine's faults for operators. Any thread.
public final class KvmCounters {
    private final LongAdder events = new LongAdder();
    private final LongAdder refused = new LongAdder();
    private final LongAdder poisoned = new LongAdder();
    private final LongAdder overdue = new LongAdder();
    private final LongAdder broken = new LongAdder();
    private final LongAdder internalErrors = new LongAdder();
    private final LongAdder evictedMappings = new LongAdder();

    /// A fault arrived at a fault loop.
    void event() {
        events.increment();
    }

    /// A fault ended without a mapping.
    void refused() {
        refused.increment();
    }

    /// A page was poisoned, because a thread that a signal does not wake accessed it without
    /// success.
    void poisoned() {
        poisoned.increment();
    }

    /// A fault had no answer within the deadline.
    public void overdue() {
        overdue.increment();
    }

    /// A guest accessed broken memory.
    public void broken() {
        broken.increment();
    }

    /// Answering a fault threw.
    void internalError() {
        internalErrors.increment();
    }

    /// Kernel mappings were evicted to make room for others.
    void evicted(int count) {
        evictedMappings.add(count);
    }

    public KvmFaultCounts snapshot() {
        return new KvmFaultCounts(
                events.sum(),
                refused.sum(),
                poisoned.sum(),
                overdue.sum(),
                broken.sum(),
                internalErrors.sum(),
                evictedMappings.sum());
    }
}
