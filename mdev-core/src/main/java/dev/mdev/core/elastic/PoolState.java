package dev.mdev.core.elastic;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The devices of a pool, and the lock that guards them with all their units.
final class PoolState {
    final PoolParts parts;
    final ReentrantLock lock = new ReentrantLock();

    /// A unit ended its transit, a frame became spare, or a device came to its end.
    final Condition changed = lock.newCondition();

    final ElasticCounters counters;

    /// How many devices are being created that need frames of others. Meanwhile no device gets free
    /// frames above its minimum: it would take back at once what was made free.
    @GuardedBy("lock")
    int reclaims;

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

    /// Scrubs frames of a device that no unit has. A frame that cannot be scrubbed is quarantined,
    /// and no longer the device's.
    ///
    /// @return the clean frames
    List<Long> scrub(List<Long> frames, Share device) {
        if (frames.isEmpty()) {
            return frames;
        }
        UUID owner = device.owner().uuid();
        try {
            return parts.bank().scrub(frames, owner);
        } catch (RuntimeException | Error e) {
            // A request that waits for these frames looks elsewhere. An access that waits for their
            // unit goes on.
            parts.bank().quarantine(frames, owner, "could not be scrubbed: " + e);
            return List.of();
        }
    }
}
