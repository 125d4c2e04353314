package dev.mdev.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Optional;

class GrantCheckTest {
    private static final long PFN = 0x1000;

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
    void aGrantAsksForTheMemoryTypeOfAllItsPagesOrForNone() {
        List<PoolShare> share = List.of(new PoolShare("vram", List.of(new PfnRange(PFN, 8))));
        GrantCheck mixed =
                new GrantCheck(
                        share,
                        List.of(),
                        range -> {
                            if (range.endPfn() <= PFN + 4) {
                                return Optional.of(Caching.WRITE_COMBINING);
                            }
                            return range.firstPfn() >= PFN + 4
                                    ? Optional.of(Caching.UNCACHED)
                                    : Optional.empty();
                        });
        MapRequest request = request(0, 0, 8, Access.READ);
        MapDecision.Grant combining = grant(0, 4, Prot.READ).withCaching(Caching.WRITE_COMBINING);
        MapDecision.Grant both = grant(0, 8, Prot.READ);

        assertThat(mixed.violation(request, combining)).isEmpty();
        assertThat(mixed.violation(request, combining.withCaching(Caching.UNCACHED)))
                .hasValueSatisfying(
                        rule -> assertThat(rule).contains("as UNCACHED", "are WRITE_COMBINING"));
        assertThat(mixed.violation(request, both)).isEmpty();
        assertThat(mixed.violation(request, both.withCaching(Caching.UNCACHED)))
                .hasValueSatisfying(rule -> assertThat(rule).contains("of several types"));
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

    @Test
    void sharedPagesAreGrantedReadOnly() {
        GrantCheck check =
                new GrantCheck(
                        List.of(new PoolShare("vram", List.of(new PfnRange(PFN, 4)))),
                        List.of(new PfnRange(PFN + 4, 2)),
                        _ -> Optional.of(Caching.WRITE_BACK));
        MapRequest read = request(0, 0, 8, Access.READ);

        assertThat(
                        check.violation(
                                read,
                                new MapDecision.Grant(0, new PfnRange(PFN + 4, 2), Prot.READ)))
                .isEmpty();
        assertThat(
                        check.violation(
                                read,
                                new MapDecision.Grant(
                                        0, new PfnRange(PFN + 5, 1), Prot.READ_WRITE)))
                .hasValueSatisfying(rule -> assertThat(rule).contains("read-only"));
        assertThat(
                        check.violation(
                                read,
                                new MapDecision.Grant(0, new PfnRange(PFN + 3, 2), Prot.READ)))
                .as("own and shared pages in one grant")
                .isPresent();
        assertThat(
                        check.violation(
                                read,
                                new MapDecision.Grant(0, new PfnRange(PFN + 5, 2), Prot.READ)))
                .as("past the shared pages")
                .isPresent();
    }
}
