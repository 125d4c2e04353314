package dev.mdev.core.elastic;

import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

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
final class Eviction {
    /// How long a driver that refuses everything is left alone.
    private static final long QUIET_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

    private static final byte[] ZERO_PAGE = new byte[Page.SIZE];

    private final PoolState pool;
    private final Share from;
    private final Holding.Pick pick;
    private final int unitPages;

    /// Units that are LEAVING.
    private final List<Unit> going;

    private final HandOver handOver;

    /// @param to the device that gets the frames, or null if they are to be free
    Eviction(PoolState pool, Share from, @Nullable Share to, Holding.Pick pick) {
        this.pool = pool;
        this.from = from;
        this.pick = pick;
        this.unitPages = pool.parts.unitPages();
        this.going = new ArrayList<>(pick.victims());
        this.handOver = new HandOver(pool, from, to, pick.victims().size());
    }

    /// @return why the store took no content, if it did not
    Optional<MdevException> run() {
        List<Long> frames = List.of();
        List<Long> clean = List.of();
        Optional<MdevException> trouble = Optional.empty();
        try {
            ask();
            revoke();
            trouble = writeAway();
            frames = leave();
            clean = pool.parts.bank().scrub(frames, from.owner().uuid());
        } finally {
            stay(going);
            handOver.pass(frames, clean);
        }
        trouble.ifPresent(e -> {
            pool.counters.storeFailed();
            pool.parts.news().storeFailed(from.owner().uuid(), pool.parts.name(), e.getMessage());
        });
        pool.counters.tell();
        return trouble;
    }

    private void ask() {
        ElasticOwner.EvictAnswer answer;
        try {
            answer =
                    from.owner()
                            .askToEvict(
                                    pool.parts.name(),
                                    going.stream().map(from::firstPageOf).toList(),
                                    unitPages);
        } catch (RuntimeException | Error e) {
            notAsked(0);
            throw e;
        }
        List<Unit> refused = new ArrayList<>();
        for (int i = 0; i < going.size(); i++) {
            if (answer.trouble().isPresent() || !answer.accepted().get(i)) {
                refused.add(going.get(i));
            }
        }
        boolean all = refused.size() == going.size();
        notAsked(all ? QUIET_NANOS : 0);
        stay(refused);
        going.removeAll(refused);
        pool.counters.refused((long) refused.size() * unitPages);
        if (all) {
            String why =
                    answer.trouble()
                            .map(refusal -> refusal.errno() + ": " + refusal.reason())
                            .orElse("it refused each of %d units".formatted(refused.size()));
            pool.parts.news().refused(from.owner().uuid(), pool.parts.name(), why);
        }
    }

    /// Lets others ask the driver, after a while.
    private void notAsked(long quietNanos) {
        pool.lock.lock();
        try {
            from.holding.asked = false;
            from.holding.quietUntilNanos = System.nanoTime() + quietNanos;
        } finally {
            pool.lock.unlock();
        }
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

    /// An aged unit stays. If its guest uses it, the guest must ask for it again, and so the clock
    /// learns of it.
    private void revoke() {
        from.revoke(going, pick.aged());
    }

    /// @return why the store took no content, if it did not: those units and later ones stay
    private Optional<MdevException> writeAway() {
        byte[] bytes = new byte[(int) Page.bytesOf(unitPages)];
        for (int i = 0; i < going.size(); i++) {
            try {
                writeAway(going.get(i), bytes);
            } catch (MdevException e) {
                List<Unit> rest = going.subList(i, going.size());
                stay(rest);
                rest.clear();
                return Optional.of(e);
            }
        }
        return Optional.empty();
    }

    /// Pages of zeroes need no room.
    private void writeAway(Unit unit, byte[] bytes) {
        pool.parts.bank().read(unit.pfn, 0, MemorySegment.ofArray(bytes));
        long first = from.firstPageOf(unit);
        boolean done = false;
        try {
            for (int i = 0; i < unitPages; i++) {
                int at = i * Page.SIZE;
                if (Arrays.mismatch(bytes, at, at + Page.SIZE, ZERO_PAGE, 0, Page.SIZE) >= 0) {
                    from.stored.put(first + i, bytes, at);
                }
            }
            done = true;
        } finally {
            if (!done) {
                from.drop(unit);
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
