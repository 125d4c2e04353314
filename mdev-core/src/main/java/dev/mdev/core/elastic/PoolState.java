package dev.mdev.core.elastic;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The devices of a pool, and the lock that guards them with all their units.
final class PoolState {
    final PoolParts parts;
    final ReentrantLock lock = new ReentrantLock();

    /// A unit ended its transit, a frame became spare, or a device came to its end.
    final Condition changed = lock.newCondition();

    final ElasticCounters counters;

    /// Units that became free.
    final LongAdder freedUnits = new LongAdder();

    /// In the order of their creation.
    @GuardedBy("lock")
    private final List<Share> members = new ArrayList<>();

    PoolState(PoolParts parts) {
        this.parts = parts;
        this.counters = new ElasticCounters(parts.name(), parts.news());
    }

    @GuardedBy("lock")
    List<Share> membersLocked() {
        return members;
    }
}
