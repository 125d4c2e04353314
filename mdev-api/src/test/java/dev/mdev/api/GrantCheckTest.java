package dev.mdev.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.junit.jupiter.api.Test;

import java.util.List;

class GrantCheckTest {
    private static final long PFN = 0x1000;

    private final GrantCheck check = checkOf(new PfnRange(PFN, 16));

    private static GrantCheck checkOf(PfnRange... extents) {
        return new GrantCheck(List.of(new PoolShare("vram", List.of(extents))));
    }

    private static MapRequest request(long page, long firstPage, long endPage, Access access) {
        return new MapRequest(0, page, firstPage, endPage, access, MapRequest.Reason.FIRST_TOUCH);
    }

    private static MapDecision.Grant grant(long firstPage, long npages, Prot prot) {
        return new MapDecision.Grant(firstPage, new PfnRange(PFN, npages), prot);
    }

    @Test
    void aGrantHoldsTheTouchedPageAndStaysInTheWindow() {
        MapRequest request = request(5, 3, 8, Access.READ);
        for (long first = -1; first < 10; first++) {
            for (long npages = 1; npages <= 9; npages++) {
                boolean covers = first <= 5 && 5 < first + npages;
                boolean inside = 3 <= first && first + npages <= 8;
                assertThat(check.violation(request, grant(first, npages, Prot.READ)).isEmpty())
                        .as("pages [%d, %d)", first, first + npages)
                        .isEqualTo(covers && inside);
            }
        }
    }

    @Test
    void numbersNearTheEndOfLongDoNotWrap() {
        long end = Long.MAX_VALUE;
        MapRequest request = request(end - 2, end - 3, end, Access.READ);

        assertThat(check.violation(request, grant(end - 3, 3, Prot.READ))).isEmpty();
        assertThat(check.violation(request, grant(end - 3, 16, Prot.READ))).isPresent();
        assertThat(check.violation(request, grant(Long.MIN_VALUE, 16, Prot.READ))).isPresent();
    }

    @Test
    void theGrantedRightsAllowTheAccess() {
        for (Access access : Access.values()) {
            for (Prot prot : Prot.values()) {
                assertThat(check.violation(request(0, 0, 1, access), grant(0, 1, prot)).isEmpty())
                        .as("%s %s", access, prot)
                        .isEqualTo(prot != Prot.NONE && prot.allows(access));
            }
        }
    }

    @Test
    void onlyPagesOfTheDeviceAreMappedAndExtentsThatTouchAreOne() {
        GrantCheck scattered =
                checkOf(new PfnRange(PFN + 7, 2), new PfnRange(PFN, 2), new PfnRange(PFN + 2, 4));
        for (long first = PFN - 1; first <= PFN + 9; first++) {
            for (long npages = 1; npages <= 8; npages++) {
                boolean mine =
                        isIn(first, npages, PFN, PFN + 6) || isIn(first, npages, PFN + 7, PFN + 9);
                MapDecision.Grant grant =
                        new MapDecision.Grant(0, new PfnRange(first, npages), Prot.READ);
                assertThat(scattered.violation(request(0, 0, 16, Access.READ), grant).isEmpty())
                        .as("pfn=0x%x npages=%d", first, npages)
                        .isEqualTo(mine);
            }
        }
    }

    private static boolean isIn(long first, long npages, long start, long end) {
        return first >= start && first + npages <= end;
    }
}
