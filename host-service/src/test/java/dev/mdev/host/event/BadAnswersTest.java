package dev.mdev.host.event;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.mapping.FaultRecord;

import org.junit.jupiter.api.Test;

import java.time.Instant;
import java.util.UUID;

/// The pages for which a driver's last answer was bad.
class BadAnswersTest {
    private final BadAnswers answers = new BadAnswers(UUID.randomUUID());

    private static FaultRecord fault(
            int region, long page, FaultRecord.Outcome outcome, FaultRecord.Reply reply) {
        MapRequest request =
                new MapRequest(region, page, 0, 1000, Access.WRITE, MapRequest.Reason.FIRST_TOUCH);
        return new FaultRecord(Instant.EPOCH, request, outcome, reply, 1);
    }

    private void refuse(int region, long page) {
        answers.add(
                Event.Kind.GRANT_REFUSED,
                fault(
                        region,
                        page,
                        FaultRecord.Outcome.REFUSED,
                        new FaultRecord.Reply.Words("not its page")));
    }

    private void grant(int region, long firstPage, long npages) {
        answers.remove(
                fault(
                        region,
                        firstPage,
                        FaultRecord.Outcome.GRANTED,
                        new FaultRecord.Reply.Granted(
                                new MapDecision.Grant(
                                        firstPage, new PfnRange(100, npages), Prot.READ_WRITE))));
    }

    @Test
    void aGrantEndsTheTroubleOfAllItsPagesAndOfNoOther() {
        refuse(0, 3);
        refuse(0, 5);
        refuse(1, 3);

        grant(0, 2, 3);
        assertThat(answers.troubles()).hasSize(1);
        grant(0, 4, 2);
        assertThat(answers.troubles())
                .singleElement()
                .satisfies(trouble -> {
                    assertThat(trouble.kind()).isEqualTo(Event.Kind.GRANT_REFUSED);
                    assertThat(trouble.detail())
                            .isEqualTo("region=1 page=0x3 access=WRITE: not its page");
                });
        grant(1, 0, 4);
        assertThat(answers.troubles()).isEmpty();
    }

    @Test
    void ofMorePagesThanAreRememberedOnlyAResetIsTheEnd() {
        for (int page = 0; page <= BadAnswers.MAX_PAGES; page++) {
            refuse(0, page);
        }
        grant(0, 0, 1000);
        assertThat(answers.troubles()).hasSize(1);

        answers.clear();

        assertThat(answers.troubles()).isEmpty();
        refuse(0, 1);
        grant(0, 1, 1);
        assertThat(answers.troubles()).isEmpty();
    }
}
