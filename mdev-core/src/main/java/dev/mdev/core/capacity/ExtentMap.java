package dev.mdev.core.capacity;

import dev.mdev.api.MdevType;
import dev.mdev.api.page.PfnRange;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/// The free extents of one pool: disjoint, with neighbours merged. Not safe for use by several
/// threads.
public final class ExtentMap {
    private final PfnRange bounds;

    /// Pages of a free extent by its first pfn.
    private final TreeMap<Long, Long> free;

    ExtentMap(PfnRange bounds) {
        this.bounds = bounds;
        this.free = new TreeMap<>(Map.of(bounds.firstPfn(), bounds.npages()));
    }

    private ExtentMap(ExtentMap other) {
        bounds = other.bounds;
        free = new TreeMap<>(other.free);
    }

    public ExtentMap copy() {
        return new ExtentMap(this);
    }

    PfnRange bounds() {
        return bounds;
    }

    public long freePages() {
        return free.values().stream().mapToLong(Long::longValue).sum();
    }

    long largestFree() {
        return free.values().stream().mapToLong(Long::longValue).max().orElse(0);
    }

    /// Takes the lowest pages that satisfy the demand, or nothing.
    public Optional<List<PfnRange>> take(MdevType.Demand demand) {
        List<PfnRange> found = demand.contiguous() ? findOne(demand) : findMany(demand);
        if (found.isEmpty()) {
            return Optional.empty();
        }
        found.forEach(this::remove);
        return Optional.of(found);
    }

    private List<PfnRange> findOne(MdevType.Demand demand) {
        for (Map.Entry<Long, Long> extent : free.entrySet()) {
            PfnRange usable = aligned(extent, demand.alignPages());
            if (usable != null && usable.npages() >= demand.npages()) {
                return List.of(new PfnRange(usable.firstPfn(), demand.npages()));
            }
        }
        return List.of();
    }

    private List<PfnRange> findMany(MdevType.Demand demand) {
        List<PfnRange> found = new ArrayList<>();
        long missing = demand.npages();
        for (Map.Entry<Long, Long> extent : free.entrySet()) {
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
    private @Nullable PfnRange aligned(Map.Entry<Long, Long> extent, long alignPages) {
        long start = extent.getKey() - bounds.firstPfn();
        long end = start + extent.getValue();
        long alignedStart = (start + alignPages - 1) & -alignPages;
        long alignedEnd = end & -alignPages;
        return alignedEnd <= alignedStart
                ? null
                : new PfnRange(bounds.firstPfn() + alignedStart, alignedEnd - alignedStart);
    }

    /// The free extents, ascending.
    List<PfnRange> extents() {
        List<PfnRange> extents = new ArrayList<>(free.size());
        free.forEach((first, npages) -> extents.add(new PfnRange(first, npages)));
        return extents;
    }

    /// Whether all of these pages are free.
    boolean contains(PfnRange range) {
        Map.Entry<Long, Long> extent = free.floorEntry(range.firstPfn());
        return extent != null && extent.getKey() + extent.getValue() >= range.endPfn();
    }

    /// The free pages among these.
    List<PfnRange> within(PfnRange range) {
        return extents().stream()
                .filter(extent -> extent.overlaps(range))
                .map(extent -> intersection(extent, range))
                .toList();
    }

    static PfnRange intersection(PfnRange a, PfnRange b) {
        long first = Math.max(a.firstPfn(), b.firstPfn());
        return new PfnRange(first, Math.min(a.endPfn(), b.endPfn()) - first);
    }

    /// Takes these pages. They must be free.
    void remove(PfnRange taken) {
        Map.Entry<Long, Long> extent = free.floorEntry(taken.firstPfn());
        if (extent == null || extent.getKey() + extent.getValue() < taken.endPfn()) {
            throw new IllegalStateException("not free: " + taken);
        }
        long first = extent.getKey();
        long end = first + extent.getValue();
        free.remove(first);
        if (first < taken.firstPfn()) {
            free.put(first, taken.firstPfn() - first);
        }
        if (taken.endPfn() < end) {
            free.put(taken.endPfn(), end - taken.endPfn());
        }
    }

    /// Makes pages free. They must be taken.
    void put(PfnRange given) {
        Map.Entry<Long, Long> below = free.floorEntry(given.firstPfn());
        Map.Entry<Long, Long> above = free.ceilingEntry(given.firstPfn());
        long belowEnd = below == null ? Long.MIN_VALUE : below.getKey() + below.getValue();
        if (!bounds.contains(given)
                || belowEnd > given.firstPfn()
                || (above != null && above.getKey() < given.endPfn())) {
            throw new IllegalStateException("not taken: " + given);
        }
        long first = given.firstPfn();
        long end = given.endPfn();
        if (below != null && belowEnd == first) {
            first = below.getKey();
        }
        if (above != null && above.getKey() == end) {
            end += above.getValue();
            free.remove(above.getKey());
        }
        free.put(first, end - first);
    }
}
