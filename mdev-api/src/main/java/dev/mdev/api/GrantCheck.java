package dev.mdev.api;

import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/// What a host checks of a driver's grant before it maps anything: a driver is not trusted with
/// other devices' pages. The test kit checks by the same code.
public final class GrantCheck {
    /// The device's pages: sorted, disjoint, neighbours merged.
    private final List<PfnRange> share;

    /// @param shares the pages that belong to the device
    public GrantCheck(List<PoolShare> shares) {
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
        if (grant.prot() == Prot.NONE || !grant.prot().allows(request.access())) {
            return Optional.of(
                    "granted rights do not allow the access: prot=%s access=%s"
                            .formatted(grant.prot(), request.access()));
        }
        long first = grant.firstPage();
        long npages = grant.pfns().npages();
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
        if (share.stream().noneMatch(extent -> extent.contains(grant.pfns()))) {
            return Optional.of("granted pages are not this device's: " + grant.pfns());
        }
        return Optional.empty();
    }
}
