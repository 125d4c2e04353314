package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// Takes units from a device.
///
/// ```
/// the units are leaving                      nobody else touches them
/// ask the driver                             refused ones stay
/// revoke their mappings                      no guest stores to them any more
/// write their content away                   on a failure they stay, with their content
/// they are in the store
/// scrub the frames, verify                   bad ones are quarantined
/// hand the frames over
/// ```
///
/// The frames are recorded as dirty from the moment that a device got them until they are free: so
/// a crash at any step leads to scrubbing.
///
/// What fails here is the giver's trouble: it is told as such, and the request looks elsewhere.
final class Eviction {
    /// How long a device that gives nothing is left alone.
    private static final long QUIET_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

    private static final byte[] ZERO_PAGE = new byte[Page.SIZE];

    private final PoolState pool;
    private final Share from;
    private final Holding.Pick pick;
    private final int unitPages;

    /// Units that are LEAVING.
    private final List<Unit> going;

    private final HandOver handOver;

    /// @param handOver of as many frames as there are victims; this ends it
    Eviction(PoolState pool, Share from, Holding.Pick pick, HandOver handOver) {
        this.pool = pool;
        this.from = from;
        this.pick = pick;
        this.unitPages = pool.parts.unitPages();
        this.going = new ArrayList<>(pick.victims());
        this.handOver = handOver;
    }

    /// How an eviction ended.
    ///
    /// @param frames how many were handed over
    /// @param trouble why units stay, if the device gave none, or the store took no more
    record Outcome(int frames, Optional<Trouble> trouble) {}

    Outcome run() {
        List<Long> frames = List.of();
        List<Long> clean = List.of();
        Optional<Trouble> trouble;
        try {
            trouble = takeAway();
            frames = leave();
            clean = pool.scrub(frames, from);
        } finally {
            abandon(going);
            handOver.pass(frames, clean);
        }
        trouble.ifPresent(this::tell);
        pool.counters.tell();
        return new Outcome(clean.size(), trouble);
    }

    private Optional<Trouble> takeAway() {
        Optional<Trouble> refusal = ask();
        if (going.isEmpty()) {
            return refusal;
        }
        Optional<Trouble> failure = revoke();
        return failure.isPresent() ? failure : writeAway();
    }

    private void tell(Trouble trouble) {
        switch (trouble) {
            case Trouble.Refused refused ->
                    pool.parts
                            .news()
                            .refused(from.owner().uuid(), pool.parts.name(), refused.why());
            case Trouble.StoreFailed failed -> {
                pool.counters.storeFailed();
                pool.parts
                        .news()
                        .storeFailed(
                                from.owner().uuid(),
                                pool.parts.name(),
                                failed.cause().getMessage());
            }
        }
    }

    private Optional<Trouble> ask() {
        boolean[] accepted = new boolean[going.size()];
        String why = "it refused each of %d units".formatted(going.size());
        try {
            ElasticOwner.EvictAnswer answer =
                    from.owner()
                            .askToEvict(
                                    pool.parts.name(),
                                    going.stream().map(from::firstPageOf).toList(),
                                    unitPages);
            if (answer.trouble().isPresent()) {
                why = answer.trouble().get().errno() + ": " + answer.trouble().get().reason();
            } else {
                for (int i = 0; i < accepted.length; i++) {
                    accepted[i] = answer.accepted().get(i);
                }
            }
        } catch (RuntimeException e) {
            Arrays.fill(accepted, false);
            why = "evict: " + e;
        } finally {
            endAsking();
        }
        List<Unit> refused = new ArrayList<>();
        for (int i = 0; i < accepted.length; i++) {
            if (!accepted[i]) {
                refused.add(going.get(i));
            }
        }
        stay(refused);
        going.removeAll(refused);
        pool.counters.refused((long) refused.size() * unitPages);
        return going.isEmpty() ? refused(why) : Optional.empty();
    }

    /// Lets others ask the driver.
    private void endAsking() {
        pool.lock.lock();
        try {
            from.holding.asked = false;
        } finally {
            pool.lock.unlock();
        }
    }

    private Optional<Trouble> refused(String why) {
        return gaveNothing(new Trouble.Refused(why));
    }

    /// Leaves the device alone for a while.
    private Optional<Trouble> gaveNothing(Trouble trouble) {
        pool.lock.lock();
        try {
            from.holding.quietUntilNanos = System.nanoTime() + QUIET_NANOS;
        } finally {
            pool.lock.unlock();
        }
        return Optional.of(trouble);
    }

    private void stay(List<Unit> units) {
        if (units.isEmpty()) {
            return;
        }
        pool.lock.lock();
        try {
            units.forEach(from.holding::stay);
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }

    /// The units stay. What the store has of them by now would be taken for their content later.
    private void abandon(List<Unit> units) {
        units.forEach(from::drop);
        stay(units);
        units.clear();
    }

    /// An aged unit stays. If its guest uses it, the guest must ask for it again, and so the clock
    /// learns of it.
    private Optional<Trouble> revoke() {
        try {
            from.revoke(going, pick.aged());
            return Optional.empty();
        } catch (RuntimeException e) {
            abandon(going);
            return refused("its mappings cannot be revoked: " + e);
        }
    }

    /// @return why content was not read, or the store took none, if so: those units and later ones
    ///   stay
    private Optional<Trouble> writeAway() {
        byte[] bytes = new byte[(int) Page.bytesOf(unitPages)];
        for (int i = 0; i < going.size(); i++) {
            Unit unit = going.get(i);
            try {
                pool.parts.bank().read(unit.pfn, 0, MemorySegment.ofArray(bytes));
            } catch (RuntimeException e) {
                abandon(going.subList(i, going.size()));
                return refused("its content cannot be read: " + e);
            }
            try {
                store(unit, bytes);
            } catch (RuntimeException e) {
                abandon(going.subList(i, going.size()));
                return gaveNothing(new Trouble.StoreFailed(asMdevException(e)));
            }
        }
        return Optional.empty();
    }

    private static MdevException asMdevException(RuntimeException e) {
        return e instanceof MdevException known
                ? known
                : new MdevException(Errno.EIO, "the content cannot be written away: " + e, e);
    }

    /// Pages of zeroes need no room.
    private void store(Unit unit, byte[] bytes) {
        long first = from.firstPageOf(unit);
        for (int i = 0; i < unitPages; i++) {
            int at = i * Page.SIZE;
            if (Arrays.mismatch(bytes, at, at + Page.SIZE, ZERO_PAGE, 0, Page.SIZE) >= 0) {
                from.stored.put(first + i, bytes, at);
            }
        }
    }

    /// @return the frames that no unit has any more
    private List<Long> leave() {
        List<Long> frames = new ArrayList<>();
        pool.lock.lock();
        try {
            long now = System.nanoTime();
            for (Unit unit : going) {
                unit.state = from.hasStored(unit) ? Unit.State.STORED : Unit.State.ABSENT;
                unit.leftNanos = now;
                frames.add(unit.pfn);
            }
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
        pool.counters.evicted((long) going.size() * unitPages);
        from.countEvicted((long) going.size() * unitPages);
        going.clear();
        return frames;
    }
}
