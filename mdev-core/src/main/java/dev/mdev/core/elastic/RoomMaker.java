package dev.mdev.core.elastic;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/// Finds frames for a device that has no spare one: free ones, or those of the device that has the
/// most above its minimum, in proportion to the minimums. That may be the device itself.
///
/// The caller has no unit in transit, so whoever it waits for does not wait for it.
final class RoomMaker {
    /// The most pages that one eviction takes.
    private static final int BATCH_PAGES = 64;

    private static final int MAX_BATCH_UNITS = 16;

    /// The most units that a device gets from the free ones at a time.
    private static final int MAX_BORROWED_UNITS = 1024;

    /// A wait ends after so long, because nothing signals that time has passed.
    private static final long LOOK_AGAIN_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

    private final PoolState pool;
    private final int batchUnits;

    RoomMaker(PoolState pool) {
        this.pool = pool;
        this.batchUnits = Math.clamp(BATCH_PAGES / pool.parts.unitPages(), 1, MAX_BATCH_UNITS);
    }

    /// Where frames come from.
    private sealed interface Source {}

    /// Spare frames of another device.
    private record Spares(Share from, List<Long> frames) implements Source {}

    /// Units of a device.
    private record Victims(Share from, Holding.Pick pick) implements Source {}

    /// Nowhere now.
    private record Nowhere(long waitNanos) implements Source {}

    /// Gets a device at least one spare frame, or waits for one, or fails to: then the caller tries
    /// again.
    ///
    /// @throws MdevException if it waited too long, must end, or the store fails
    void makeFor(Share who, Patience patience) {
        if (borrow(who)) {
            return;
        }
        Source source;
        pool.lock.lock();
        try {
            if (!who.holding.spares.isEmpty()) {
                return;
            }
            who.requireAliveLocked();
            source = sourceLocked(who);
            if (source instanceof Nowhere nowhere) {
                patience.await(pool.changed, Math.min(nowhere.waitNanos, LOOK_AGAIN_NANOS));
            }
        } finally {
            pool.lock.unlock();
        }
        transfer(source, who).ifPresent(patience::storeFailed);
    }

    /// Frees frames above the minimums.
    ///
    /// @return freed pages
    long makeFree(long npages) {
        long wanted = Math.ceilDiv(npages, pool.parts.unitPages());
        long failures = 0;
        long freed = 0;
        Patience patience = new Patience(pool.parts.name(), pool.parts.deadline().toNanos());
        while (freed < wanted && failures < 2) {
            Source source;
            pool.lock.lock();
            try {
                source = sourceLocked(null);
                if (source instanceof Nowhere nowhere) {
                    if (nowhere.waitNanos == Long.MAX_VALUE) {
                        break;
                    }
                    patience.await(pool.changed, Math.min(nowhere.waitNanos, LOOK_AGAIN_NANOS));
                }
            } finally {
                pool.lock.unlock();
            }
            long before = pool.freedUnits.sum();
            failures += transfer(source, null).isPresent() ? 1 : 0;
            freed += pool.freedUnits.sum() - before;
        }
        return freed * pool.parts.unitPages();
    }

    /// Who would give pages up if so many had to become free now, in the order of the requests.
    ///
    /// @return pages by device; together at least `npages`, unless there are not so many above the
    ///   minimums
    Map<UUID, Long> givers(long npages) {
        int unitPages = pool.parts.unitPages();
        Map<UUID, Long> given = new LinkedHashMap<>();
        pool.lock.lock();
        try {
            Map<Share, Integer> left = new LinkedHashMap<>();
            for (Share share : pool.membersLocked()) {
                if (!share.holding.retired && share.holding.surplus() > 0) {
                    left.put(share, share.holding.surplus());
                }
            }
            for (long wanted = npages; wanted > 0 && !left.isEmpty(); ) {
                Share richest = richestOf(left);
                int surplus = Objects.requireNonNull(left.get(richest));
                int units =
                        (int)
                                Math.min(
                                        Math.ceilDiv(wanted, unitPages),
                                        Math.clamp(surplus / 2, 1, batchUnits));
                given.merge(richest.owner().uuid(), (long) units * unitPages, Long::sum);
                wanted -= (long) units * unitPages;
                if (units == surplus) {
                    left.remove(richest);
                } else {
                    left.put(richest, surplus - units);
                }
            }
        } finally {
            pool.lock.unlock();
        }
        return given;
    }

    private static Share richestOf(Map<Share, Integer> surpluses) {
        return surpluses.entrySet().stream()
                .reduce((a, b) ->
                        b.getKey().holding.isRicher(b.getValue(), a.getKey().holding, a.getValue())
                                ? b
                                : a)
                .orElseThrow()
                .getKey();
    }

    /// @return whether there were free frames
    private boolean borrow(Share who) {
        Holding holding = who.holding;
        int wanted;
        pool.lock.lock();
        try {
            int room = holding.maxUnits - holding.held - holding.arriving;
            wanted = Math.min(room, Math.clamp(holding.held / 8, batchUnits, MAX_BORROWED_UNITS));
            if (wanted <= 0) {
                return false;
            }
            holding.arriving += wanted;
        } finally {
            pool.lock.unlock();
        }
        List<Long> frames = List.of();
        try {
            frames = pool.parts.bank().borrow(who.owner().uuid(), wanted);
        } finally {
            receive(who, wanted, frames);
        }
        return !frames.isEmpty();
    }

    private void receive(Share who, int promised, List<Long> frames) {
        pool.lock.lock();
        try {
            who.holding.arriving -= promised;
            who.holding.held += frames.size();
            who.holding.spares.addAll(frames);
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }

    /// @param who the device that needs frames, or null if they are to be free
    @GuardedBy("pool.lock")
    private Source sourceLocked(@Nullable Share who) {
        long now = System.nanoTime();
        int room =
                who == null
                        ? Integer.MAX_VALUE
                        : who.holding.maxUnits - who.holding.held - who.holding.arriving;
        long waitNanos = Long.MAX_VALUE;
        for (Share other : richerLocked(who)) {
            Holding holding = other.holding;
            int surplus = holding.surplus();
            int most = Math.min(Math.min(room, surplus), Math.clamp(surplus / 2, 1, batchUnits));
            if (most <= 0) {
                continue;
            }
            if (!holding.spares.isEmpty()) {
                return promise(new Spares(other, takeSpares(holding, most)), who);
            }
            if (holding.asked || now < holding.quietUntilNanos) {
                waitNanos = Math.min(waitNanos, LOOK_AGAIN_NANOS);
                continue;
            }
            Holding.Pick pick = holding.sweep(most, now, pool.parts.options().stay().toNanos());
            if (!pick.victims().isEmpty()) {
                holding.asked = true;
                return promise(new Victims(other, pick), who);
            }
            waitNanos = Math.min(waitNanos, pick.waitNanos());
        }
        if (who == null) {
            return new Nowhere(waitNanos);
        }
        return ownLocked(who, now, waitNanos);
    }

    /// The devices with pages above their minimum and more of them than `who` would have, the
    /// richest first.
    @GuardedBy("pool.lock")
    private List<Share> richerLocked(@Nullable Share who) {
        List<Share> richer = new ArrayList<>();
        for (Share other : pool.membersLocked()) {
            Holding holding = other.holding;
            if (other != who
                    && !holding.retired
                    && holding.surplus() > 0
                    && (who == null
                            || holding.isRicher(
                                    holding.surplus(),
                                    who.holding,
                                    who.holding.surplus() + who.holding.arriving + 1))) {
                richer.add(other);
            }
        }
        richer.sort((a, b) -> {
            if (a.holding.isRicher(a.holding.surplus(), b.holding, b.holding.surplus())) {
                return -1;
            }
            return b.holding.isRicher(b.holding.surplus(), a.holding, a.holding.surplus()) ? 1 : 0;
        });
        return richer;
    }

    /// A device that would be the richest pays itself.
    @GuardedBy("pool.lock")
    private Source ownLocked(Share who, long now, long waitNanos) {
        Holding holding = who.holding;
        if (holding.asked || now < holding.quietUntilNanos) {
            return new Nowhere(Math.min(waitNanos, LOOK_AGAIN_NANOS));
        }
        int most = Math.clamp(holding.held / 4, 1, batchUnits);
        Holding.Pick pick = holding.sweep(most, now, pool.parts.options().stay().toNanos());
        if (pick.victims().isEmpty()) {
            return new Nowhere(Math.min(waitNanos, pick.waitNanos()));
        }
        holding.asked = true;
        return new Victims(who, pick);
    }

    private static List<Long> takeSpares(Holding holding, int most) {
        List<Long> frames = new ArrayList<>();
        while (frames.size() < most && !holding.spares.isEmpty()) {
            frames.add(holding.spares.removeLast());
        }
        return frames;
    }

    private static Source promise(Source source, @Nullable Share who) {
        int count =
                switch (source) {
                    case Spares spares -> spares.frames.size();
                    case Victims victims -> victims.pick.victims().size();
                    case Nowhere _ -> 0;
                };
        Share from =
                switch (source) {
                    case Spares spares -> spares.from;
                    case Victims victims -> victims.from;
                    case Nowhere _ -> throw new IllegalArgumentException("nothing to promise");
                };
        from.holding.leaving += count;
        if (who != null) {
            who.holding.arriving += count;
        }
        return source;
    }

    /// @param who the receiver, or null if the frames are to be free
    /// @return why the store took no content, if it did not
    private Optional<MdevException> transfer(Source source, @Nullable Share who) {
        return switch (source) {
            case Nowhere _ -> Optional.empty();
            case Spares spares -> {
                int count = spares.frames.size();
                new HandOver(pool, spares.from, who, count).pass(spares.frames, spares.frames);
                yield Optional.empty();
            }
            case Victims victims -> new Eviction(pool, victims.from, who, victims.pick).run();
        };
    }
}
