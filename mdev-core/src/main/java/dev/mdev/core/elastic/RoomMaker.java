package dev.mdev.core.elastic;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
    private record Spares(List<Long> frames, HandOver handOver) implements Source {}

    /// Units of a device.
    private record Victims(Share from, Holding.Pick pick, HandOver handOver) implements Source {}

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
            if (patience.isOver()) {
                patience.leaveOthersAlone();
            }
            source = sourceLocked(who, patience);
            if (source instanceof Nowhere nowhere) {
                patience.endRound();
                patience.await(pool.changed, Math.min(nowhere.waitNanos, LOOK_AGAIN_NANOS));
            }
        } finally {
            pool.lock.unlock();
        }
        var _ = transfer(source, patience);
    }

    /// Frees frames above the minimums.
    ///
    /// @return freed pages
    /// @throws MdevException if it waited too long, must end, or the store fails
    long makeFree(long npages, Patience patience) {
        long wanted = Math.ceilDiv(npages, pool.parts.unitPages());
        long freed = 0;
        while (freed < wanted) {
            if (patience.isOver()) {
                patience.leaveOthersAlone();
            }
            Source source;
            pool.lock.lock();
            try {
                source = sourceLocked(null, patience);
                if (source instanceof Nowhere nowhere) {
                    if (nowhere.waitNanos == Long.MAX_VALUE) {
                        break;
                    }
                    patience.endRound();
                    patience.await(pool.changed, Math.min(nowhere.waitNanos, LOOK_AGAIN_NANOS));
                }
            } finally {
                pool.lock.unlock();
            }
            freed += transfer(source, patience);
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
            who.requireAliveLocked();
            int most = pool.reclaims > 0 ? holding.minUnits : holding.maxUnits;
            int room = most - holding.held - holding.arriving;
            wanted = Math.min(room, Math.clamp(holding.held / 8, batchUnits, MAX_BORROWED_UNITS));
            if (wanted <= 0) {
                return false;
            }
            holding.arriving += wanted;
            holding.transfers++;
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
            who.holding.transfers--;
            who.holding.held += frames.size();
            who.holding.spares.addAll(frames);
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }

    /// @param who the device that needs frames, or null if they are to be free
    @GuardedBy("pool.lock")
    private Source sourceLocked(@Nullable Share who, Patience patience) {
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
                List<Long> frames = takeSpares(holding, most);
                return new Spares(frames, HandOver.beginLocked(pool, other, who, frames.size()));
            }
            if (isLeftAlone(other, now, patience)) {
                waitNanos = Math.min(waitNanos, LOOK_AGAIN_NANOS);
                continue;
            }
            Holding.Pick pick = holding.sweep(most, now, pool.parts.options().stay().toNanos());
            if (!pick.victims().isEmpty()) {
                return victimsLocked(other, who, pick);
            }
            waitNanos = Math.min(waitNanos, pick.waitNanos());
        }
        if (who == null) {
            return new Nowhere(waitNanos);
        }
        return ownLocked(who, patience, new Nowhere(waitNanos));
    }

    private static boolean isLeftAlone(Share device, long now, Patience patience) {
        return device.holding.asked
                || now < device.holding.quietUntilNanos
                || !patience.mayAsk(device.owner().uuid());
    }

    @GuardedBy("pool.lock")
    private Victims victimsLocked(Share from, @Nullable Share who, Holding.Pick pick) {
        from.holding.asked = true;
        return new Victims(
                from, pick, HandOver.beginLocked(pool, from, who, pick.victims().size()));
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
    ///
    /// @param elsewhere where nothing is
    @GuardedBy("pool.lock")
    private Source ownLocked(Share who, Patience patience, Nowhere elsewhere) {
        Holding holding = who.holding;
        long now = System.nanoTime();
        if (isLeftAlone(who, now, patience)) {
            return new Nowhere(Math.min(elsewhere.waitNanos, LOOK_AGAIN_NANOS));
        }
        int most = Math.clamp(holding.held / 4, 1, batchUnits);
        Holding.Pick pick = holding.sweep(most, now, pool.parts.options().stay().toNanos());
        if (pick.victims().isEmpty()) {
            return new Nowhere(Math.min(elsewhere.waitNanos, pick.waitNanos()));
        }
        return victimsLocked(who, who, pick);
    }

    private static List<Long> takeSpares(Holding holding, int most) {
        List<Long> frames = new ArrayList<>();
        while (frames.size() < most && !holding.spares.isEmpty()) {
            frames.add(holding.spares.removeLast());
        }
        return frames;
    }

    /// @return how many frames were handed over
    private int transfer(Source source, Patience patience) {
        return switch (source) {
            case Nowhere _ -> 0;
            case Spares spares -> {
                spares.handOver.pass(spares.frames, spares.frames);
                yield spares.frames.size();
            }
            case Victims victims -> {
                Eviction.Outcome end =
                        new Eviction(pool, victims.from, victims.pick, victims.handOver).run();
                end.trouble()
                        .ifPresent(trouble -> patience.met(victims.from.owner().uuid(), trouble));
                yield end.frames();
            }
        };
    }
}
