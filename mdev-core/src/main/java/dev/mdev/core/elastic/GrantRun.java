package dev.mdev.core.elastic;

import dev.mdev.api.MapDecision;
import dev.mdev.api.page.PfnRange;

/// Pages of an elastic share that are neighbours in the aperture as well, and are granted together.
/// The pool's lock is held while it grows.
final class GrantRun {
    private final Share device;
    private final Holding holding;
    private final MapDecision.FromPool wanted;
    private final Place place;
    private final long unitPages;

    /// Pages of the share.
    private long first;

    private long end;
    private long firstPfn;

    GrantRun(Share device, MapDecision.FromPool wanted, Place place) {
        this.device = device;
        this.holding = device.holding;
        this.wanted = wanted;
        this.place = place;
        this.unitPages = device.unitPages;
    }

    /// Takes the part of a resident unit that is wanted, and neighbours as far as they fit.
    ///
    /// @param page the accessed page, in the unit
    /// @return false if the unit has too many places
    boolean growLocked(Unit unit, long page) {
        if (!unit.addPlace(place)) {
            return false;
        }
        long wantedEnd = wanted.sharePage() + wanted.npages();
        first = Math.max(wanted.sharePage(), device.firstPageOf(unit));
        end = Math.min(wantedEnd, device.firstPageOf(unit) + unitPages);
        firstPfn = unit.pfn + (first - device.firstPageOf(unit));
        while (end < wantedEnd && growUp(holding.unit((int) (end / unitPages)))) {
            end = Math.min(wantedEnd, end + unitPages);
        }
        while (first > wanted.sharePage()
                && growDown(holding.unit((int) (first / unitPages) - 1))) {
            long lower = Math.max(wanted.sharePage(), first - unitPages);
            firstPfn -= first - lower;
            first = lower;
        }
        return page >= first && page < end;
    }

    private boolean growUp(Unit next) {
        long pfn = firstPfn + (end - first);
        if (next.state == Unit.State.ABSENT) {
            Long spare = holding.spares.peekFirst();
            // Ahead of its use, a unit costs nobody anything as long as the minimum pays.
            if (spare == null || spare != pfn || holding.held > holding.minUnits) {
                return false;
            }
            holding.arrive(next, holding.spares.removeFirst(), System.nanoTime());
        }
        return next.state == Unit.State.RESIDENT && next.pfn == pfn && next.addPlace(place);
    }

    private boolean growDown(Unit before) {
        return before.state == Unit.State.RESIDENT
                && before.pfn + unitPages == firstPfn
                && before.addPlace(place);
    }

    MapDecision.Grant toGrant() {
        return new MapDecision.Grant(
                wanted.firstPage() + (first - wanted.sharePage()),
                new PfnRange(firstPfn, end - first),
                wanted.prot());
    }
}
