package dev.mdev.api;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/// What a host checks of a driver's grant before it maps anything: a driver is not trusted with
/// other devices' pages. The test kit checks by the same code.
public final class GrantCheck {
    /// The device's pages: sorted, disjoint, neighbours merged.
    private final List<PfnRange> share;

    /// The pages that all devices of the type may map, read-only.
    private final List<PfnRange> shared;

    /// What memory type mappings of pages have; nothing if the pages differ.
    private final Function<PfnRange, Optional<Caching>> cachingOf;

    /// @param shares the pages that belong to the device
    /// @param shared the pages of the pools that its type shares, see [MdevType#shared]
    /// @param cachingOf the memory type that mappings of them have, as [Aperture#cachingOf]
    public GrantCheck(
            List<PoolShare> shares,
            List<PfnRange> shared,
            Function<PfnRange, Optional<Caching>> cachingOf) {
        this.shared = List.copyOf(shared);
        this.cachingOf = cachingOf;
        List<PfnRange> sorted =
                shares.stream()
                        .flatMap(pool -> pool.extents().stream())
                        .sorted(Comparator.comparingLong(PfnRange::firstPfn))
                        .toList();
        List<PfnRange> merged = new ArrayList<>();
        for (PfnRange range : sorted) {
            PfnRange last = merged.isEmpty() ? null : merged.getLast();
            if (last != null && last.endPfn() == range.firstPfn()) {
                merged.removeLast();
                merged.add(new PfnRange(last.firstPfn(), last.npages() + range.npages()));
            } else {
                merged.add(range);
            }
        }
        share = List.copyOf(merged);
    }

    /// @return the broken rule, or nothing if the grant may be mapped
    public Optional<String> violation(MapRequest request, MapDecision.Grant grant) {
        Optional<String> misplaced =
                violation(request, grant.firstPage(), grant.pfns().npages(), grant.prot());
        if (misplaced.isPresent()) {
            return misplaced;
        }
        if (shared.stream().anyMatch(pool -> pool.contains(grant.pfns()))) {
            if (grant.prot().allows(Access.WRITE)) {
                return Optional.of("shared pages are granted read-only: " + grant.pfns());
            }
        } else if (share.stream().noneMatch(extent -> extent.contains(grant.pfns()))) {
            return Optional.of("granted pages are not this device's: " + grant.pfns());
        }
        return grant.caching().flatMap(asked -> violation(asked, grant.pfns()));
    }

    private Optional<String> violation(Caching asked, PfnRange pfns) {
        Optional<Caching> given = cachingOf.apply(pfns);
        return given.equals(Optional.of(asked))
                ? Optional.empty()
                : Optional.of(
                        "granted as %s, but mappings of %s are %s"
                                .formatted(
                                        asked,
                                        pfns,
                                        given.map(Caching::name).orElse("of several types")));
    }

    /// @param sharePages the pages of the device's elastic share of the pool; 0 if it has none
    /// @return the broken rule, or nothing if the pages may be brought in and mapped
    public static Optional<String> violation(
            MapRequest request, MapDecision.FromPool grant, long sharePages) {
        Optional<String> misplaced =
                violation(request, grant.firstPage(), grant.npages(), grant.prot());
        if (misplaced.isPresent()) {
            return misplaced;
        }
        if (grant.sharePage() < 0 || grant.sharePage() > sharePages - grant.npages()) {
            return Optional.of(
                    "not pages of an elastic share: pool=%s sharePage=%d npages=%d of %d"
                            .formatted(
                                    grant.pool(), grant.sharePage(), grant.npages(), sharePages));
        }
        return Optional.empty();
    }

    private static Optional<String> violation(
            MapRequest request, long first, long npages, Prot prot) {
        if (prot == Prot.NONE || !prot.allows(request.access())) {
            return Optional.of(
                    "granted rights do not allow the access: prot=%s access=%s"
                            .formatted(prot, request.access()));
        }
        if (first > request.page() || request.page() - first >= npages) {
            return Optional.of(
                    "grant does not cover the accessed page: page=%d firstPage=%d npages=%d"
                            .formatted(request.page(), first, npages));
        }
        if (first < request.firstPage() || npages > request.endPage() - first) {
            return Optional.of(
                    "grant leaves the window: firstPage=%d npages=%d window=[%d, %d)"
                            .formatted(first, npages, request.firstPage(), request.endPage()));
        }
        return Optional.empty();
    }
}
