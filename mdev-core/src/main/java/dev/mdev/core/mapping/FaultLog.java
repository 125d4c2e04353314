package dev.mdev.core.mapping;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MapRequest;

import java.util.ArrayDeque;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;

/// The faults of one device: the number of each outcome, and the last few in full.
public final class FaultLog {
    private static final int KEPT = 256;

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final ArrayDeque<FaultRecord> recent = new ArrayDeque<>(KEPT);

    @GuardedBy("lock")
    private final long[] counts = new long[FaultRecord.Outcome.values().length];

    /// Faults for which a guest waited: all except those with reason PREFETCH.
    @GuardedBy("lock")
    private long total;

    public void add(FaultRecord fault) {
        lock.lock();
        try {
            if (recent.size() == KEPT) {
                recent.removeFirst();
            }
            recent.addLast(fault);
            counts[fault.outcome().ordinal()]++;
            if (fault.request().reason() != MapRequest.Reason.PREFETCH) {
                total++;
            }
        } finally {
            lock.unlock();
        }
    }

    public long total() {
        lock.lock();
        try {
            return total;
        } finally {
            lock.unlock();
        }
    }

    /// The last faults, newest first.
    public List<FaultRecord> recent() {
        lock.lock();
        try {
            return List.copyOf(recent).reversed();
        } finally {
            lock.unlock();
        }
    }

    public Map<FaultRecord.Outcome, Long> counts() {
        Map<FaultRecord.Outcome, Long> copy = new EnumMap<>(FaultRecord.Outcome.class);
        lock.lock();
        try {
            for (FaultRecord.Outcome outcome : FaultRecord.Outcome.values()) {
                copy.put(outcome, counts[outcome.ordinal()]);
            }
        } finally {
            lock.unlock();
        }
        return copy;
    }
}
