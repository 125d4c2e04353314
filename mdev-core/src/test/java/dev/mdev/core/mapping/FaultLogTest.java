package dev.mdev.core.mapping;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.junit.jupiter.api.Test;

import java.time.Instant;

class FaultLogTest {
    private final FaultLog log = new FaultLog();

    private static FaultRecord fault(
            long page, MapRequest.Reason reason, FaultRecord.Outcome outcome) {
        return new FaultRecord(
                Instant.EPOCH,
                new MapRequest(0, page, 0, page + 1, Access.READ, reason),
                outcome,
                new FaultRecord.Reply.Words("page " + page),
                0);
    }

    @Test
    void theLast256AreKeptNewestFirstAndAllAreCounted() {
        for (long page = 0; page < 300; page++) {
            log.add(
                    fault(
                            page,
                            MapRequest.Reason.FIRST_TOUCH,
                            page % 3 == 0
                                    ? FaultRecord.Outcome.REFUSED
                                    : FaultRecord.Outcome.GRANTED));
        }

        assertThat(log.recent()).hasSize(256);
        assertThat(log.recent().getFirst().request().page()).isEqualTo(299);
        assertThat(log.recent().getLast().request().page()).isEqualTo(300 - 256);
        assertThat(log.total()).isEqualTo(300);
        assertThat(log.counts())
                .containsEntry(FaultRecord.Outcome.REFUSED, 100L)
                .containsEntry(FaultRecord.Outcome.GRANTED, 200L)
                .containsEntry(FaultRecord.Outcome.DENIED, 0L)
                .hasSize(FaultRecord.Outcome.values().length);
    }

    @Test
    void faultsThatNoGuestWaitedForAreInTheLogAndNotInTheTotal() {
        log.add(fault(1, MapRequest.Reason.PREFETCH, FaultRecord.Outcome.GRANTED));
        log.add(fault(2, MapRequest.Reason.UPGRADE, FaultRecord.Outcome.FAILED));

        assertThat(log.recent()).hasSize(2);
        assertThat(log.total()).isOne();
        assertThat(log.counts()).containsEntry(FaultRecord.Outcome.GRANTED, 1L);
    }

    @Test
    void aGrantIsDescribedByThePagesThatItMaps() {
        FaultRecord granted =
                new FaultRecord(
                        Instant.EPOCH,
                        new MapRequest(0, 5, 0, 16, Access.READ, MapRequest.Reason.FIRST_TOUCH),
                        FaultRecord.Outcome.GRANTED,
                        new FaultRecord.Reply.Granted(
                                new MapDecision.Grant(4, new PfnRange(0x10, 3), Prot.READ)),
                        0);

        assertThat(granted.answer()).isEqualTo("grant pages [4, 7) = pfns[0x10, 0x13) READ");
    }
}
