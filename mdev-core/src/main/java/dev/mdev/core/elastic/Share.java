package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/// What one device has of a pool, in memory and in the store, and how it is taken away.
final class Share {
    final Holding holding;
    final StoredPages stored;
    final MdevType.Demand demand;
    final int unitPages;

    private final PoolState pool;
    private final ElasticOwner owner;

    /// Its pool and device; each request has it at hand.
    private final String words;

    private volatile @Nullable Place lastPlace;

    private final LongAdder evicted = new LongAdder();
    private final LongAdder returned = new LongAdder();

    /// @param frames of the guaranteed minimum, clean
    Share(
            PoolState pool,
            ElasticOwner owner,
            MdevType.Demand demand,
            List<Long> frames,
            StoredPages stored) {
        this.pool = pool;
        this.owner = owner;
        this.demand = demand;
        this.stored = stored;
        this.words = "pool=%s mdev=%s".formatted(demand.pool(), owner.uuid());
        this.unitPages = pool.parts.unitPages();
        this.holding =
                new Holding(
                        (int) (demand.minPages() / unitPages),
                        (int) (demand.npages() / unitPages),
                        frames);
    }

    ElasticOwner owner() {
        return owner;
    }

    Patience patience() {
        return new Patience(words, pool.parts.deadline().toNanos(), owner.uuid());
    }

    /// The same object for the same place, as long as guests use one: each unit of a grant is
    /// compared with it.
    Place place(int region, long offsetPages) {
        Place wanted = new Place(region, offsetPages);
        Place last = lastPlace;
        if (last != null && last.equals(wanted)) {
            return last;
        }
        lastPlace = wanted;
        return wanted;
    }

    long firstPageOf(Unit unit) {
        return (long) unit.index * unitPages;
    }

    void requireAliveLocked() {
        if (holding.ended) {
            throw new MdevException(Errno.ENODEV, "mdev=%s has ended".formatted(owner.uuid()));
        }
    }

    /// Revokes what guests have mapped. If that fails, what they have is still known.
    ///
    /// This takes a unit's places before its mappings are gone. Another thread that took the unit
    /// away in between would find no place, and copy what a guest still stores to. So units that
    /// stay count as in use until then. Units that another thread is taking away are skipped.
    ///
    /// @param leaving units that the caller takes away
    /// @param staying units that stay, if they are resident
    void revoke(List<Unit> leaving, List<Unit> staying) {
        Map<Unit, List<Place>> places = new HashMap<>();
        List<Unit> held = new ArrayList<>();
        pool.lock.lock();
        try {
            leaving.forEach(unit -> places.put(unit, unit.takePlaces()));
            for (Unit unit : staying) {
                if (unit.state == Unit.State.RESIDENT) {
                    unit.copies++;
                    held.add(unit);
                    places.put(unit, unit.takePlaces());
                }
            }
        } finally {
            pool.lock.unlock();
        }
        boolean done = false;
        try {
            places.forEach((unit, all) -> all.forEach(place -> revoke(unit, place)));
            done = true;
        } finally {
            pool.lock.lock();
            try {
                if (!done) {
                    places.forEach(Unit::returnPlaces);
                }
                held.forEach(unit -> unit.copies--);
                pool.changed.signalAll();
            } finally {
                pool.lock.unlock();
            }
        }
    }

    private void revoke(Unit unit, Place place) {
        long first = firstPageOf(unit) + place.offsetPages();
        long inRegion = Math.max(0, first);
        owner.revoke(place.region(), inRegion, first + unitPages - inRegion);
    }

    /// The content of a unit in the store.
    byte[] load(Unit unit) {
        byte[] bytes = new byte[(int) Page.bytesOf(unitPages)];
        long first = firstPageOf(unit);
        for (int i = 0; i < unitPages; i++) {
            if (stored.has(first + i)) {
                stored.get(first + i, bytes, i * Page.SIZE);
            }
        }
        return bytes;
    }

    /// Copies the content of a unit from the store into its clean frame.
    void copyIn(Unit unit) {
        byte[] bytes = load(unit);
        long first = firstPageOf(unit);
        int i = 0;
        while (i < unitPages) {
            int end = i;
            while (end < unitPages && stored.has(first + end)) {
                end++;
            }
            if (end > i) {
                MemorySegment part =
                        MemorySegment.ofArray(bytes)
                                .asSlice(Page.bytesOf(i), Page.bytesOf((long) end - i));
                pool.parts.bank().write(unit.pfn, Page.bytesOf(i), part);
            }
            i = end + 1;
        }
        drop(unit);
        returned.add(unitPages);
    }

    boolean hasStored(Unit unit) {
        long first = firstPageOf(unit);
        for (int i = 0; i < unitPages; i++) {
            if (stored.has(first + i)) {
                return true;
            }
        }
        return false;
    }

    /// Forgets the content of a unit in the store.
    void drop(Unit unit) {
        long first = firstPageOf(unit);
        for (int i = 0; i < unitPages; i++) {
            stored.drop(first + i);
        }
    }

    void countEvicted(long npages) {
        evicted.add(npages);
    }

    ElasticUsage usageLocked() {
        return new ElasticUsage(
                owner.uuid(),
                demand.pool(),
                demand.minPages(),
                demand.npages(),
                (long) holding.held * unitPages,
                (long) (holding.held - holding.spares.size()) * unitPages,
                stored.size(),
                (long) holding.pinned * unitPages,
                evicted.sum(),
                returned.sum());
    }
}
