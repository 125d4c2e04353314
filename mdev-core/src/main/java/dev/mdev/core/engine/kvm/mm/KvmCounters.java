package dev.mdev.core.engine.kvm.mm;

import java.util.concurrent.atomic.LongAdder;

/// Counts what an operator wants to know of a machine's faults. Any thread.
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

    /// A fault was answered with something else than a mapping.
    void refused() {
        refused.increment();
    }

    /// A page was poisoned, because somebody whom a signal does not wake touched it in vain.
    void poisoned() {
        poisoned.increment();
    }

    /// A fault was not answered within the deadline.
    public void overdue() {
        overdue.increment();
    }

    /// A guest touched broken memory.
    public void broken() {
        broken.increment();
    }

    /// Answering a fault threw.
    void internalError() {
        internalErrors.increment();
    }

    /// Kernel mappings were given back to make room for others.
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
