package dev.mdev.testkit;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.util.List;
import java.util.Optional;

/// What the host checks in a driver's grant before it maps anything.
public final class GrantRules {
    private GrantRules() {}

    /// The first rule that `grant` breaks as an answer to `request`, in words; empty if it breaks
    /// none.
    ///
    /// @param share the pages that belong to the device
    public static Optional<String> firstBroken(
            MapRequest request, MapDecision.Grant grant, List<PoolShare> share) {
        PfnRange pfns = grant.pfns();
        long first = grant.firstPage();
        if (first < request.firstPage() || pfns.npages() > request.endPage() - first) {
            return Optional.of("the grant leaves the window of the request");
        }
        if (first > request.page() || request.page() - first >= pfns.npages()) {
            return Optional.of("the grant does not cover the touched page");
        }
        if (grant.prot() == Prot.NONE) {
            return Optional.of("the grant gives no rights");
        }
        if (!grant.prot().allows(request.access())) {
            return Optional.of("the grant does not allow the access");
        }
        if (!coveredByShare(pfns, share)) {
            return Optional.of("the grant names pages that are not the device's");
        }
        return Optional.empty();
    }

    private static boolean coveredByShare(PfnRange pfns, List<PoolShare> share) {
        long covered = 0;
        for (PoolShare part : share) {
            for (PfnRange extent : part.extents()) {
                long first = Math.max(extent.firstPfn(), pfns.firstPfn());
                long end = Math.min(extent.endPfn(), pfns.endPfn());
                covered += Math.max(0, end - first);
            }
        }
        return covered == pfns.npages();
    }
}
