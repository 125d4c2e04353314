package dev.mdev.core.capacity;

import dev.mdev.api.MdevType;
import dev.mdev.api.page.PfnRange;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// Looks for moves that make room for a demand in a pool.
///
/// The room is one aligned run of pages, the *window*. The planner considers only windows that
/// start at the pool's start or right after a tenant's pages, as far as the alignment allows: any
/// other window can be slid down to such a one, and on the way it only leaves pages and meets no
/// new ones. For each window, cheapest first, it places the occupants outside it. Each new place is
/// disjoint from the old pages (a copy onto itself could not be undone after a crash), and a device
/// that has moved leaves room for the next.
///
/// Every plan that it finds works, but it may miss a plan that exists: it places occupants largest
/// first or smallest first, at the lowest place that fits, and moves no tenant outside the window.
public final class DefragPlanner {
    private final PoolView pool;
    private final MdevType.Demand demand;

    public DefragPlanner(PoolView pool, MdevType.Demand demand) {
        this.pool = pool;
        this.demand = demand;
    }

    /// A place and its occupants.
    private record Window(PfnRange pfns, List<PoolView.Occupant> occupants) {
        long npages() {
            return occupants.stream().mapToLong(occupant -> occupant.blocker().npages()).sum();
        }

        long immovable() {
            return occupants.stream().filter(occupant -> !occupant.couldBeMoved()).count();
        }

        long assigned() {
            return occupants.stream().filter(occupant -> !occupant.isMovable()).count();
        }
    }

    /// The moves, or nothing if it finds none.
    public Optional<List<DefragPlan.Move>> plan() {
        for (Window window : windows()) {
            if (window.assigned() > 0) {
                continue;
            }
            Comparator<PoolView.Occupant> bySize =
                    Comparator.comparingLong(occupant -> occupant.blocker().npages());
            for (Comparator<PoolView.Occupant> order : List.of(bySize.reversed(), bySize)) {
                Optional<List<DefragPlan.Move>> moves = clear(window, order);
                if (moves.isPresent()) {
                    return moves;
                }
            }
        }
        return Optional.empty();
    }

    /// The obstacles in the place that is easiest to clear; empty if there is no place.
    public List<FitReport.Blocker> blockers() {
        return windows().stream()
                .min(
                        Comparator.comparingLong(Window::immovable)
                                .thenComparingLong(Window::assigned)
                                .thenComparingLong(Window::npages))
                .map(window -> window.occupants().stream().map(PoolView.Occupant::blocker).toList())
                .orElse(List.of());
    }

    /// The candidate windows, those with the fewest pages to move first.
    private List<Window> windows() {
        PfnRange bounds = pool.free().bounds();
        Set<Long> starts = new LinkedHashSet<>();
        starts.add(bounds.firstPfn());
        for (PoolView.Occupant occupant : pool.occupants()) {
            occupant.extents().forEach(extent -> starts.add(alignUp(extent.endPfn())));
        }
        List<Window> windows = new ArrayList<>();
        for (long start : starts) {
            if (start <= bounds.endPfn() - demand.minPages()) {
                PfnRange place = new PfnRange(start, demand.minPages());
                windows.add(
                        new Window(
                                place,
                                pool.occupants().stream()
                                        .filter(occupant -> occupant.overlaps(place))
                                        .toList()));
            }
        }
        windows.sort(Comparator.comparingLong(Window::npages));
        return windows;
    }

    private long alignUp(long pfn) {
        long base = pool.free().bounds().firstPfn();
        return base + ((pfn - base + demand.alignPages() - 1) & -demand.alignPages());
    }

    private Optional<List<DefragPlan.Move>> clear(
            Window window, Comparator<PoolView.Occupant> order) {
        ExtentMap room = pool.free().copy();
        room.within(window.pfns()).forEach(room::remove);
        List<DefragPlan.Move> moves = new ArrayList<>();
        for (PoolView.Occupant occupant : window.occupants().stream().sorted(order).toList()) {
            Optional<List<PfnRange>> place = room.take(occupant.demand().orElseThrow());
            if (place.isEmpty()) {
                return Optional.empty();
            }
            moves.add(
                    new DefragPlan.Move(
                            occupant.uuid(), pool.name(), occupant.extents(), place.get()));
            for (PfnRange old : occupant.extents()) {
                outside(old, window.pfns()).forEach(room::put);
            }
        }
        return Optional.of(moves);
    }

    /// The pages of `range` outside `hole`.
    private static List<PfnRange> outside(PfnRange range, PfnRange hole) {
        List<PfnRange> parts = new ArrayList<>();
        if (range.firstPfn() < hole.firstPfn()) {
            long end = Math.min(range.endPfn(), hole.firstPfn());
            parts.add(new PfnRange(range.firstPfn(), end - range.firstPfn()));
        }
        if (range.endPfn() > hole.endPfn()) {
            long first = Math.max(range.firstPfn(), hole.endPfn());
            parts.add(new PfnRange(first, range.endPfn() - first));
        }
        return parts;
    }
}
