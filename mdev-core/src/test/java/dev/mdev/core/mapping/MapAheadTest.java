package dev.mdev.core.mapping;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MapRequest.Reason;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;

final class MapAheadTest {
    private static final long AREA_PAGES = 1 << 16;

    private final List<String> questions = new ArrayList<>();
    private final BitSet mapped = new BitSet();

    /// A fault whose question is answered in full.
    private void touch(MapAhead ahead, long page) {
        if (!mapped.get((int) page)) {
            fault(ahead, page, Reason.FIRST_TOUCH, Long.MAX_VALUE);
        }
    }

    private Fill fault(MapAhead ahead, long page, Reason reason, long mostPages) {
        MapRequest request = new MapRequest(0, page, 0, AREA_PAGES, Access.WRITE, reason);
        return ahead.fault(
                request,
                (asked, _) -> {
                    long npages = Math.min(mostPages, asked.endPage() - asked.page());
                    questions.add(asked.page() + "+" + (asked.endPage() - asked.page()));
                    mapped.set((int) page, (int) (page + npages));
                    return new Fill.Map(page, new PfnRange(1000 + page, npages), Prot.READ_WRITE);
                });
    }

    @Test
    void withoutALimitTheDriverIsAskedAsItWas() {
        MapAhead off = new MapAhead(0);
        for (long page = 0; page < 3; page++) {
            fault(off, page, Reason.FIRST_TOUCH, 1);
        }
        assertThat(questions).containsExactly("0+65536", "1+65535", "2+65534");
    }

    @Test
    void aSweepDoublesUpToTheLimit() {
        MapAhead ahead = new MapAhead(8);
        for (long page = 0; page < 40; page++) {
            touch(ahead, page);
        }
        assertThat(questions)
                .containsExactly("0+1", "1+2", "3+4", "7+8", "15+8", "23+8", "31+8", "39+8");
    }

    @Test
    void noLimitIsMoreThan512Pages() {
        MapAhead ahead = new MapAhead(Integer.MAX_VALUE);
        for (long page = 0; page < 4096; page++) {
            touch(ahead, page);
        }
        assertThat(questions).contains("255+256", "511+512", "1023+512").hasSize(17);
    }

    @Test
    void randomTouchesMapNoMoreThanTheyTouch() {
        SplittableRandom random = new SplittableRandom(Long.getLong("mdev.seed", 42));
        MapAhead ahead = new MapAhead(512);
        for (int i = 0; i < 1000; i++) {
            // Even pages only: no touch follows its neighbour.
            touch(ahead, 2 * random.nextLong(AREA_PAGES / 2));
        }
        assertThat(mapped.cardinality()).isEqualTo(questions.size());
        assertThat(questions).allMatch(question -> question.endsWith("+1"));
    }

    @Test
    void fourSweepsAtOnceAllGrow() {
        MapAhead ahead = new MapAhead(16);
        for (long i = 0; i < 31; i++) {
            for (long sweep = 0; sweep < MapAhead.STREAMS; sweep++) {
                touch(ahead, 10_000 * sweep + i);
            }
        }
        assertThat(questions).hasSize(4 * 5).contains("15+16", "10015+16", "20015+16", "30015+16");
    }

    @Test
    void aFifthSweepReplacesTheOneThatIsIdleLongest() {
        MapAhead ahead = new MapAhead(16);
        for (long sweep = 0; sweep < MapAhead.STREAMS; sweep++) {
            touch(ahead, 10_000 * sweep);
        }
        touch(ahead, 1); // The first sweep goes on, so the second is idle longest.
        touch(ahead, 50_000);
        questions.clear();

        touch(ahead, 3);
        touch(ahead, 20_001);
        touch(ahead, 30_001);
        touch(ahead, 50_001);
        touch(ahead, 10_001);

        assertThat(questions).containsExactly("3+4", "20001+2", "30001+2", "50001+2", "10001+1");
    }

    @Test
    void aSweepThatEndsCostsAtMostOneQuestionsPages() {
        MapAhead ahead = new MapAhead(64);
        for (long page = 0; page < 200; page++) {
            touch(ahead, page);
        }
        assertThat(mapped.cardinality() - 200).isLessThanOrEqualTo(63);
        questions.clear();
        touch(ahead, 5000);
        assertThat(questions).containsExactly("5000+1");
    }

    @Test
    void aDriverThatGrantsPageByPageIsNotAskedForMoreAndMore() {
        MapAhead ahead = new MapAhead(64);
        for (long page = 0; page < 64; page++) {
            fault(ahead, page, Reason.FIRST_TOUCH, 1);
        }
        assertThat(questions).hasSize(64).contains("0+1", "1+2", "63+2").doesNotContain("2+4");
    }

    @Test
    void aRevocationForgetsAllSweeps() {
        MapAhead ahead = new MapAhead(64);
        for (long page = 0; page < 7; page++) {
            touch(ahead, page);
        }
        ahead.revoked();
        questions.clear();
        touch(ahead, 7);
        touch(ahead, 8);
        assertThat(questions).containsExactly("7+1", "8+2");
    }

    @Test
    void anUpgradeAndMappingAheadAreAskedPlainly() {
        MapAhead ahead = new MapAhead(64);
        fault(ahead, 0, Reason.FIRST_TOUCH, 1);
        fault(ahead, 1, Reason.UPGRADE, 1);
        fault(ahead, 1, Reason.PREFETCH, 1);
        assertThat(questions).containsExactly("0+1", "1+65535", "1+65535");
    }

    @Test
    void aFailedTrialIsFollowedByThePageAloneUnlessTheDriverHangs() {
        for (Errno errno : List.of(Errno.EACCES, Errno.EIO, Errno.ETIMEDOUT, Errno.EINTR)) {
            MapAhead ahead = new MapAhead(64);
            touch(ahead, 0);
            mapped.clear();
            List<Boolean> trials = new ArrayList<>();
            MapRequest next = new MapRequest(0, 1, 0, AREA_PAGES, Access.READ, Reason.FIRST_TOUCH);
            Fill fill =
                    ahead.fault(
                            next,
                            (_, isTrial) -> {
                                trials.add(isTrial);
                                return new FaultResult.Failed(errno, "no");
                            });
            assertThat(fill).isEqualTo(new FaultResult.Failed(errno, "no"));
            boolean hangs = errno == Errno.ETIMEDOUT || errno == Errno.EINTR;
            assertThat(trials).isEqualTo(hangs ? List.of(true) : List.of(true, false));
        }
    }
}
