package dev.mdev.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Optional;

/// [GrantCheck] against all small grants, windows and extents.
class GrantCheckModelTest {
    private static final long PFN = 0x1000;

    /// The device has 16 pages, and a page that touches them belongs to somebody else.
    private final GrantCheck check = checkOf(new PfnRange(PFN, 16));

    private static GrantCheck checkOf(PfnRange... extents) {
        return new GrantCheck(
                List.of(new PoolShare("vram", List.of(extents))),
                List.of(),
                _ -> Optional.of(Caching.WRITE_BACK));
    }

    private static MapRequest request(long page, long firstPage, long endPage, Access access) {
        return new MapRequest(0, page, firstPage, endPage, access, MapRequest.Reason.FIRST_TOUCH);
    }

    private static MapDecision.Grant grant(long firstPage, PfnRange pfns, Prot prot) {
        return new MapDecision.Grant(firstPage, pfns, prot);
    }

    /// Every grant of up to six pages against every window: it may be mapped exactly if it holds
    /// the touched page and no page outside of the window.
    @Test
    void aGrantIsTakenExactlyIfItHoldsTheTouchedPageAndStaysInTheWindow() {
        for (long windowFirst = 2; windowFirst <= 4; windowFirst++) {
            for (long windowEnd = windowFirst + 1; windowEnd <= windowFirst + 4; windowEnd++) {
                for (long page = windowFirst; page < windowEnd; page++) {
                    compareAllGrants(request(page, windowFirst, windowEnd, Access.READ));
                }
            }
        }
    }

    private void compareAllGrants(MapRequest request) {
        for (long first = 0; first < 10; first++) {
            for (long npages = 1; npages <= 6; npages++) {
                MapDecision.Grant grant = grant(first, new PfnRange(PFN, npages), Prot.READ);
                boolean covers = first <= request.page() && request.page() < first + npages;
                boolean inside =
                        request.firstPage() <= first && first + npages <= request.endPage();
                assertThat(check.violation(request, grant).isEmpty())
                        .as("%s %s", request, grant)
                        .isEqualTo(covers && inside);
            }
        }
    }

    @Test
    void aGrantThatEndsOnePageBeforeTheTouchedPageDoesNotCoverIt() {
        assertThat(
                        check.violation(
                                request(5, 0, 16, Access.READ),
                                grant(2, new PfnRange(PFN, 3), Prot.READ)))
                .hasValueSatisfying(reason -> assertThat(reason).contains("does not cover"));
    }

    @Test
    void aGrantThatLeavesTheWindowByOnePageIsRefusedOnBothSides() {
        MapRequest request = request(5, 4, 8, Access.READ);

        for (MapDecision.Grant grant :
                List.of(
                        grant(3, new PfnRange(PFN, 5), Prot.READ),
                        grant(4, new PfnRange(PFN, 5), Prot.READ))) {
            assertThat(check.violation(request, grant))
                    .hasValueSatisfying(reason -> assertThat(reason).contains("leaves the window"));
        }
        assertThat(check.violation(request, grant(4, new PfnRange(PFN, 4), Prot.READ))).isEmpty();
    }

    @Test
    void numbersNearTheEndOfLongDoNotWrap() {
        long end = Long.MAX_VALUE;
        MapRequest request = request(end - 2, end - 3, end, Access.READ);

        assertThat(check.violation(request, grant(end - 3, new PfnRange(PFN, 3), Prot.READ)))
                .isEmpty();
        assertThat(check.violation(request, grant(end - 3, new PfnRange(PFN, 16), Prot.READ)))
                .isPresent();
        assertThat(
                        check.violation(
                                request, grant(Long.MIN_VALUE, new PfnRange(PFN, 16), Prot.READ)))
                .isPresent();
        assertThat(check.violation(request, grant(-1, new PfnRange(PFN, 16), Prot.READ)))
                .isPresent();
    }

    @Test
    void theGrantedRightsAllowTheAccess() {
        for (Access access : Access.values()) {
            compareRights(access);
        }
    }

    private void compareRights(Access access) {
        for (Prot prot : Prot.values()) {
            Optional<String> violation =
                    check.violation(request(0, 0, 1, access), grant(0, new PfnRange(PFN, 1), prot));
            assertThat(violation.isEmpty())
                    .as("%s %s", access, prot)
                    .isEqualTo(prot.allows(access));
        }
    }

    /// Each page range around two extents that touch and a third that lies one page further on.
    @Test
    void onlyPagesOfTheDeviceAreMappedAndExtentsThatTouchAreOne() {
        GrantCheck scattered =
                checkOf(new PfnRange(PFN + 7, 2), new PfnRange(PFN, 2), new PfnRange(PFN + 2, 4));
        for (long first = PFN - 1; first <= PFN + 9; first++) {
            for (long npages = 1; npages <= 8; npages++) {
                boolean mine =
                        isIn(first, npages, PFN, PFN + 6) || isIn(first, npages, PFN + 7, PFN + 9);
                assertThat(
                                scattered
                                        .violation(
                                                request(0, 0, 16, Access.READ),
                                                grant(0, new PfnRange(first, npages), Prot.READ))
                                        .isEmpty())
                        .as("pfn=0x%x npages=%d", first, npages)
                        .isEqualTo(mine);
            }
        }
    }

    private static boolean isIn(long first, long npages, long start, long end) {
        return first >= start && first + npages <= end;
    }

    @Test
    void extentsOfDifferentPoolsThatTouchAreOneShare() {
        GrantCheck pools =
                new GrantCheck(
                        List.of(
                                new PoolShare("b", List.of(new PfnRange(PFN + 4, 4))),
                                new PoolShare("a", List.of(new PfnRange(PFN, 4)))),
                        List.of(),
                        _ -> Optional.of(Caching.WRITE_BACK));

        assertThat(
                        pools.violation(
                                request(0, 0, 8, Access.WRITE),
                                grant(0, new PfnRange(PFN, 8), Prot.READ_WRITE)))
                .isEmpty();
    }

    @Test
    void aDeviceWithoutPagesMapsNothing() {
        assertThat(
                        checkOf()
                                .violation(
                                        request(0, 0, 1, Access.READ),
                                        grant(0, new PfnRange(0, 1), Prot.READ)))
                .isPresent();
    }
}
