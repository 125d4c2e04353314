package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.Collections;
import java.util.UUID;

/// A driver that answers more than the host can keep, or leaves a thread in a bad state: the
/// operator gets a short record that names it, and everything else is unaffected.
class HostileAnswersTest extends HostTest {
    private static final String READ =
            "{\"op\":\"read\",\"at\":{\"mdev\":\"%s\",\"bar\":0,\"offset\":%d}}";

    /// Runs a program that goes on after faults.
    private Answer read(UUID mdev, String steps) {
        String program =
                "{\"continueAfterFault\":true,\"deadlineMillis\":600000,\"steps\":[%s]}"
                        .formatted(steps);
        api.createMachine("vm1", mdev);
        Answer result = api.run("vm1", program).requireStatus(200);
        assertThat(result.at("/end")).isEqualTo("completed");
        return result;
    }

    private Answer faultsOf(UUID mdev) {
        return api.get("/api/v1/mdevs/%s/faults?limit=256".formatted(mdev)).requireStatus(200);
    }

    /// Sixty texts of 7 million characters each do not fit the heap.
    @ParameterizedTest
    @CsvSource({"denies-with-a-novel, denied", "names-a-novel, refused"})
    void sixtyAnswersWithANovelAreKeptAsTheirBeginnings(String type, String outcome) {
        Neighbour neighbour = new Neighbour(api);
        UUID bad = api.createMdev(HostileDriver.PARENT, type);

        Answer result =
                read(bad, String.join(",", Collections.nCopies(60, READ.formatted(bad, 4096))));

        assertThat(result.numberAt("/devices/0/faults")).isEqualTo(60);
        assertThat(result.at("/steps/0/fault/reason"))
                .hasSizeLessThan(1200)
                .contains("(7000000 characters)");
        Answer faults = faultsOf(bad);
        assertThat(faults.numberAt("/outcomes/" + outcome)).isEqualTo(60);
        assertThat(faults.body().at("/recent"))
                .hasSize(60)
                .allSatisfy(fault ->
                        assertThat(fault.at("/answer").asString())
                                .hasSizeLessThan(1200)
                                .contains("(7000000 characters)"));
        neighbour.requireNoHarm(bad);
    }

    @Test
    void anExceptionThatThrowsWhenItIsAskedIsNamedInTheRecord() {
        Neighbour neighbour = new Neighbour(api);
        UUID bad = api.createMdev(HostileDriver.PARENT, "throws-the-unnameable");

        Answer result = read(bad, READ.formatted(bad, 4096));

        assertThat(result.at("/steps/0/fault/errno")).isEqualTo("EIO");
        assertThat(result.at("/steps/0/fault/reason"))
                .contains("Unnameable", "throws when it is asked for its text");
        Answer faults = faultsOf(bad);
        assertThat(faults.numberAt("/outcomes/failed")).isEqualTo(1);
        assertThat(faults.at("/recent/0/answer")).contains(bad.toString(), "Unnameable");
        neighbour.requireNoHarm(bad);
    }

    /// The flag would end the next wait of the processor's thread.
    @Test
    void aThreadThatTheDriverLeavesInterruptedGoesOn() {
        Neighbour neighbour = new Neighbour(api);
        UUID bad = api.createMdev(HostileDriver.PARENT, "leaves-interrupted");
        String steps =
                "{\"op\":\"read\",\"at\":{\"mdev\":\"%s\",\"bar\":0},\"count\":16,\"stride\":4096}"
                        .formatted(bad);

        Answer result = read(bad, steps);

        assertThat(result.numberAt("/steps/0/completed")).isEqualTo(16);
        assertThat(result.numberAt("/devices/0/faults")).isEqualTo(16);
        assertThat(faultsOf(bad).numberAt("/outcomes/granted")).isEqualTo(16);
        neighbour.requireNoHarm(bad);
    }

    @Test
    void moreCountersThanTheHostTakesAreRefused() {
        Neighbour neighbour = new Neighbour(api);
        UUID bad = api.createMdev(HostileDriver.PARENT, "counts-everything");

        Answer refused = api.get("/api/v1/mdevs/%s/counters".formatted(bad));

        refused.requireProblem(502, "driver-failed");
        assertThat(refused.at("/errno")).isEqualTo("E2BIG");
        assertThat(refused.at("/detail")).contains(bad.toString(), "counters=257");
        api.get("/api/v1/mdevs/%s/counters".formatted(neighbour.uuid())).requireStatus(200);
        neighbour.requireNoHarm(bad);
    }

    @Test
    void theNamesOfCountersAreCut() {
        Neighbour neighbour = new Neighbour(api);
        UUID bad = api.createMdev(HostileDriver.PARENT, "counts-at-length");

        Answer counters = api.get("/api/v1/mdevs/%s/counters".formatted(bad)).requireStatus(200);

        assertThat(counters.body().at("/counters").size()).isEqualTo(2);
        assertThat(counters.text()).hasSizeLessThan(1000).contains("(7000000 characters)");
        neighbour.requireNoHarm(bad);
    }

    @Test
    void aStateWithoutEndIsRefusedAtTheMostThatTheHostTakes() {
        Neighbour neighbour = new Neighbour(api);
        UUID bad = api.createMdev(HostileDriver.PARENT, "saves-without-end");
        api.createMachine("vm1", bad);

        Answer refused = save(bad);
        while (refused.status() != 502) {
            // On a busy machine, even that much is too late.
            assertThat(refused.body().at("/retryable").asBoolean()).as(refused.text()).isTrue();
            refused = save(bad);
        }

        refused.requireProblem(502, "driver-failed");
        assertThat(refused.at("/detail")).contains(bad.toString(), "save", "cannot be saved");
        assertThat(read(bad).at("/end")).isEqualTo("completed");
        neighbour.requireNoHarm(bad);
    }

    private Answer save(UUID mdev) {
        return api.get("/api/v1/mdevs/%s/state".formatted(mdev));
    }

    /// Its guest goes on, too.
    private Answer read(UUID mdev) {
        return api.run("vm1", "{\"steps\":[%s]}".formatted(READ.formatted(mdev, 0)))
                .requireStatus(200);
    }
}
