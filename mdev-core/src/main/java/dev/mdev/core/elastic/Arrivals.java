package dev.mdev.core.elastic;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.function.Function;

/// Brings units in: the one way to a resident unit.
final class Arrivals {
    private final PoolState pool;
    private final RoomMaker rooms;

    Arrivals(PoolState pool, RoomMaker rooms) {
        this.pool = pool;
        this.rooms = rooms;
    }

    /// Whether a request may take frames from other devices.
    enum Effort {
        /// A guest or a driver waits.
        ALL,
        /// Nobody waits: only spare frames.
        SPARE
    }

    /// Makes a unit resident, and uses it under the lock.
    ///
    /// @param use what to do with it; must be short
    /// @throws MdevException see [dev.mdev.api.ElasticMemory]; EAGAIN if there is no spare frame
    ///   and the effort is SPARE
    <T> T require(Share who, int index, Effort effort, Function<Unit, T> use) {
        // Only a request that waits reads the clock.
        Patience patience = null;
        while (true) {
            Unit toFill = null;
            pool.lock.lock();
            try {
                who.requireAliveLocked();
                Unit unit = who.holding.unit(index);
                if (unit.isInTransit()) {
                    patience = patience == null ? who.patience() : patience;
                    patience.await(pool.changed, Long.MAX_VALUE);
                    continue;
                }
                if (unit.state != Unit.State.RESIDENT) {
                    toFill = tryArriveLocked(who, unit);
                }
                if (unit.state == Unit.State.RESIDENT) {
                    unit.referenced = true;
                    return use.apply(unit);
                }
            } finally {
                pool.lock.unlock();
            }
            if (toFill != null) {
                fill(who, toFill);
            } else if (effort == Effort.ALL) {
                patience = patience == null ? who.patience() : patience;
                rooms.makeFor(who, patience);
            } else {
                throw new MdevException(Errno.EAGAIN, "no spare page: pool=" + pool.parts.name());
            }
        }
    }

    /// Gives a unit a spare frame, if there is one.
    ///
    /// @return the unit, if its content must be filled in
    @GuardedBy("pool.lock")
    private @Nullable Unit tryArriveLocked(Share who, Unit unit) {
        Long frame = who.holding.spares.pollFirst();
        if (frame == null) {
            return null;
        }
        if (unit.state == Unit.State.ABSENT) {
            who.holding.arrive(unit, frame, System.nanoTime());
            return null;
        }
        unit.state = Unit.State.FILLING;
        unit.pfn = frame;
        return unit;
    }

    /// Brings the content of a unit in. If that fails, it stays in the store.
    private void fill(Share who, Unit unit) {
        boolean filled = false;
        try {
            who.copyIn(unit);
            filled = true;
        } catch (MdevException e) {
            pool.counters.storeFailed();
            pool.parts.news().storeFailed(who.owner().uuid(), pool.parts.name(), e.getMessage());
            throw e;
        } finally {
            if (filled) {
                arrived(who, unit);
            } else {
                goBack(who, unit);
            }
        }
        pool.counters.tell();
    }

    private void arrived(Share who, Unit unit) {
        pool.lock.lock();
        try {
            pool.counters.returned(pool.parts.unitPages(), System.nanoTime() - unit.leftNanos);
            who.holding.arrive(unit, unit.pfn, System.nanoTime());
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }

    /// The content that is in the frame is the device's own, but spare frames are clean.
    private void goBack(Share who, Unit unit) {
        List<Long> clean = List.of();
        try {
            clean = pool.scrub(List.of(unit.pfn), who);
        } finally {
            pool.lock.lock();
            try {
                unit.state = Unit.State.STORED;
                who.holding.held -= 1 - clean.size();
                who.holding.spares.addAll(clean);
                pool.changed.signalAll();
            } finally {
                pool.lock.unlock();
            }
        }
    }
}
