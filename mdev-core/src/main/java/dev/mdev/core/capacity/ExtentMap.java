package dev.mdev.core.capacity;

import dev.mdev.api.MdevType;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.range.RangeSet;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The free extents of one pool: disjoint, with neighbours merged. Not safe for use by several
/// threads.
public final class ExtentMap {
    private final PfnRange bounds;

    /// The pfns of free pages.
    private final RangeSet free;

    ExtentMap(PfnRange bounds) {
        this.bounds = bounds;
        this.free = new RangeSet();
        free.add(bounds.firstPfn(), bounds.endPfn());
    }

    private ExtentMap(ExtentMap other) {
        bounds = other.bounds;
        free = other.free.copy();
    }

    public ExtentMap copy() {
        return new ExtentMap(this);
    }

    PfnRange bounds() {
        return bounds;
    }

    public long freePages() {
        return free.size();
    }

    long largestFree() {
        return free.ranges().stream().mapToLong(RangeSet.Range::size).max().orElse(0);
    }

    /// Takes the lowest pages that satisfy the demand, or its guaranteed minimum; or nothing.
    public Optional<List<PfnRange>> take(MdevType.Demand demand) {
        List<PfnRange> found = demand.contiguous() ? findOne(demand) : findMany(demand);
        if (found.isEmpty()) {
            return Optional.empty();
        }
        found.forEach(this::remove);
        return Optional.of(found);
    }

    private List<PfnRange> findOne(MdevType.Demand demand) {
        for (RangeSet.Range extent : free.ranges()) {
            PfnRange usable = aligned(extent, demand.alignPages());
            if (usable != null && usable.npages() >= demand.minPages()) {
                return List.of(new PfnRange(usable.firstPfn(), demand.minPages()));
            }
        }
        return List.of();
    }

    private List<PfnRange> findMany(MdevType.Demand demand) {
        List<PfnRange> found = new ArrayList<>();
        long missing = demand.minPages();
        for (RangeSet.Range extent : free.ranges()) {
            PfnRange usable = aligned(extent, demand.alignPages());
            if (usable == null) {
                continue;
            }
            long npages = Math.min(missing, usable.npages());
            found.add(new PfnRange(usable.firstPfn(), npages));
            missing -= npages;
            if (missing == 0) {
                return found;
            }
        }
        return List.of();
    }

    /// The part of an extent that starts and ends at multiples of `alignPages` from the pool's
    /// first page.
    private @Nullable PfnRange aligned(RangeSet.Range extent, long alignPages) {
        long start = extent.start() - bounds.firstPfn();
        long end = start + extent.size();
        long alignedStart = (start + alignPages - 1) & -alignPages;
        long alignedEnd = end & -alignPages;
        return alignedEnd <= alignedStart
                ? null
                : new PfnRange(bounds.firstPfn() + alignedStart, alignedEnd - alignedStart);
    }

    /// Takes up to `most` units from the end of the pool, where fixed shares come last.
    ///
    /// @return aligned runs, ascending
    List<PfnRange> takeUnits(long most, long unitPages) {
        List<PfnRange> found = new ArrayList<>();
        long missing = most * unitPages;
        for (RangeSet.Range extent : free.ranges().reversed()) {
            PfnRange usable = aligned(extent, unitPages);
            if (usable == null) {
                continue;
            }
            long npages = Math.min(missing, usable.npages());
            found.addFirst(new PfnRange(usable.endPfn() - npages, npages));
            missing -= npages;
            if (missing == 0) {
                break;
            }
        }
        found.forEach(this::remove);
        return found;
    }

    /// The free extents, ascending.
    List<PfnRange> extents() {
        return free.ranges().stream().map(ExtentMap::pfns).toList();
    }

    private static PfnRange pfns(RangeSet.Range range) {
        return new PfnRange(range.start(), range.size());
    }

    /// Whether all of these pages are free.
    boolean contains(PfnRange range) {
        return free.contains(range.firstPfn(), range.endPfn());
    }

    /// The free pages among these.
    List<PfnRange> within(PfnRange range) {
        return free.within(range.firstPfn(), range.endPfn()).stream().map(ExtentMap::pfns).toList();
    }

    /// Takes these pages. They must be free.
    void remove(PfnRange taken) {
        if (!contains(taken)) {
            throw new IllegalStateException("not free: " + taken);
        }
        free.remove(taken.firstPfn(), taken.endPfn());
    }

    /// Makes pages free. They must be taken.
    void put(PfnRange given) {
        if (!bounds.contains(given) || !within(given).isEmpty()) {
            throw new IllegalStateException("not taken: " + given);
        }
        free.add(given.firstPfn(), given.endPfn());
    }
}
