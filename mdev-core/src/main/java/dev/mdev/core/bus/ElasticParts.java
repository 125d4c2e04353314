package dev.mdev.core.bus;

import dev.mdev.api.MdevType;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.device.Parent;
import dev.mdev.core.driver.Throttle;
import dev.mdev.core.elastic.ElasticNews;
import dev.mdev.core.elastic.ElasticPool;
import dev.mdev.core.elastic.FrameBank;
import dev.mdev.core.elastic.PoolParts;
import dev.mdev.core.elastic.StoreSpace;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.store.StoreException;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// The frames of one pool of a parent: their tenants, their records, and their content.
final class ElasticParts implements FrameBank {
    private final Parent parent;
    private final String pool;
    private final long unitPages;
    private final BusContext bus;

    private ElasticParts(Parent parent, MdevType.Demand demand, BusContext bus) {
        this.parent = parent;
        this.pool = demand.pool();
        this.unitPages = demand.alignPages();
        this.bus = bus;
    }

    /// The pools of a parent on which a type has an elastic demand, by name.
    static Map<String, ElasticPool> poolsOf(Parent parent, BusContext bus) {
        Map<String, ElasticPool> pools = new HashMap<>();
        StoreSpace store = new StoreSpace(bus.options().elasticOf(parent.name()));
        for (MdevType type : parent.types()) {
            for (MdevType.Demand demand : type.demands()) {
                if (demand.isElastic() && !pools.containsKey(demand.pool())) {
                    pools.put(demand.pool(), poolOf(parent, demand, bus, store));
                }
            }
        }
        return pools;
    }

    private static ElasticPool poolOf(
            Parent parent, MdevType.Demand demand, BusContext bus, StoreSpace store) {
        long totalPages = parent.capacity().ask(demand.pool(), map -> map.bounds().npages());
        return new ElasticPool(
                new PoolParts(
                        demand.pool(),
                        totalPages,
                        (int) demand.alignPages(),
                        new ElasticParts(parent, demand, bus),
                        store,
                        new News(parent.name(), bus.observer()),
                        bus.options().elasticOf(parent.name()),
                        bus.options().callDeadline()));
    }

    /// Reports each kind of trouble once a second at most.
    private static final class News implements ElasticNews {
        private final String parent;
        private final BusObserver observer;
        private final Throttle refusals = new Throttle();
        private final Throttle failures = new Throttle();
        private final Throttle thrashing = new Throttle();

        News(String parent, BusObserver observer) {
            this.parent = parent;
            this.observer = observer;
        }

        @Override
        public void refused(UUID device, String pool, String reason) {
            long leftOut = refusals.admit();
            if (leftOut >= 0) {
                observer.event(
                        new MdevEvent.EvictionRefused(
                                device, parent, pool, reason + Throttle.words(leftOut)));
            }
        }

        @Override
        public void storeFailed(UUID device, String pool, String reason) {
            long leftOut = failures.admit();
            if (leftOut >= 0) {
                observer.event(
                        new MdevEvent.BackingStoreFailed(
                                device, parent, pool, reason + Throttle.words(leftOut)));
            }
        }

        @Override
        public void thrashing(String pool, long returned, long evicted) {
            if (thrashing.admit() >= 0) {
                observer.event(new MdevEvent.Thrashing(parent, pool, returned, evicted));
            }
        }
    }

    @Override
    public List<Long> borrow(UUID device, int most) {
        Tenant tenant = new Tenant.Device(device);
        List<PfnRange> taken = parent.capacity().takeUnits(pool, most, unitPages, tenant);
        if (taken.isEmpty()) {
            return List.of();
        }
        boolean claimed = false;
        try {
            bus.ledger().claim(parent.name(), runsOf(taken));
            claimed = true;
        } catch (StoreException e) {
            // The device may get pages that are recorded already.
            bus.observer().event(new MdevEvent.JournalTrouble("no pages are handed out: " + e));
            return List.of();
        } finally {
            if (!claimed) {
                // They are as clean as before.
                taken.forEach(pfns -> parent.capacity().releasePages(pfns, tenant));
            }
        }
        return framesOf(taken);
    }

    private List<ApertureRun> runsOf(List<PfnRange> pages) {
        return pages.stream().map(pfns -> ApertureRun.of(pfns, parent.aperturePfns())).toList();
    }

    private List<Long> framesOf(List<PfnRange> pages) {
        List<Long> frames = new ArrayList<>();
        for (PfnRange pfns : pages) {
            for (long pfn = pfns.firstPfn(); pfn < pfns.endPfn(); pfn += unitPages) {
                frames.add(pfn);
            }
        }
        return frames;
    }

    /// The pages of frames, ascending, neighbours together.
    private List<PfnRange> pagesOf(List<Long> frames) {
        List<PfnRange> pages = new ArrayList<>();
        for (long pfn : frames.stream().sorted().toList()) {
            PfnRange last = pages.isEmpty() ? null : pages.getLast();
            if (last != null && last.endPfn() == pfn) {
                pages.removeLast();
                pages.add(new PfnRange(last.firstPfn(), last.npages() + unitPages));
            } else {
                pages.add(new PfnRange(pfn, unitPages));
            }
        }
        return pages;
    }

    @Override
    public void pass(List<Long> frames, UUID from, UUID to) {
        parent.capacity()
                .pass(pool, pagesOf(frames), new Tenant.Device(from), new Tenant.Device(to));
    }

    @Override
    public void giveBack(List<Long> frames, UUID from) {
        free(pagesOf(frames), new Tenant.Device(from));
    }

    private void free(List<PfnRange> clean, Tenant from) {
        bus.ledger().markClean(parent.name(), runsOf(clean));
        clean.forEach(pfns -> parent.capacity().releasePages(pfns, from));
    }

    @Override
    public List<Long> scrub(List<Long> frames, UUID owner) {
        List<PfnRange> bad = bus.scrubber().zero(parent, pagesOf(frames));
        if (bad.isEmpty()) {
            return frames;
        }
        List<Long> clean = new ArrayList<>();
        for (long frame : frames) {
            PfnRange unit = new PfnRange(frame, unitPages);
            List<PfnRange> badHere = bad.stream().filter(unit::contains).toList();
            if (badHere.isEmpty()) {
                clean.add(frame);
            } else {
                breakUp(
                        unit,
                        badHere,
                        new Tenant.Device(owner),
                        "could not be scrubbed after an eviction");
            }
        }
        return clean;
    }

    @Override
    public void quarantine(List<Long> frames, UUID owner, String reason) {
        for (long frame : frames) {
            PfnRange unit = new PfnRange(frame, unitPages);
            breakUp(unit, List.of(unit), new Tenant.Device(owner), reason);
        }
    }

    /// The bad pages of a unit are quarantined, the good ones become free.
    private void breakUp(PfnRange unit, List<PfnRange> bad, Tenant owner, String reason) {
        for (long pfn = unit.firstPfn(); pfn < unit.endPfn(); pfn++) {
            PfnRange page = new PfnRange(pfn, 1);
            if (bad.stream().noneMatch(range -> range.contains(page))) {
                free(List.of(page), owner);
                continue;
            }
            ApertureRun run = ApertureRun.of(page, parent.aperturePfns());
            bus.ledger().markBad(parent.name(), List.of(run));
            parent.capacity().pass(page, owner, new Tenant.Bad());
            bus.observer()
                    .event(
                            new MdevEvent.PagesQuarantined(
                                    parent.name(), run.firstPage(), 1, reason));
        }
    }

    @Override
    public void read(long pfn, long offsetBytes, MemorySegment destination) {
        parent.aperture().read(parent.aperture().offsetOf(pfn) + offsetBytes, destination);
    }

    @Override
    public void write(long pfn, long offsetBytes, MemorySegment source) {
        parent.aperture().write(parent.aperture().offsetOf(pfn) + offsetBytes, source);
    }
}
