package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/// Removal is bounded, and names the holder of the device.
@TestPropertySource(properties = {HostTest.SHORT_DEADLINE, HostTest.SLOW_CALLBACK})
class RemovalTest extends HostTest {
    private static final String WRITE =
            "{\"steps\":[{\"op\":\"write\",\"at\":{\"mdev\":\"%s\",\"bar\":0},\"value\":7}]}";

    @Test
    void aDeviceThatNobodyHasIsEndedAtOnceAndTheReportSaysSo() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");

        Answer removed = api.delete("/api/v1/mdevs/%s?grace=5s".formatted(mdev)).requireStatus(200);

        assertThat(removed.at("/uuid")).isEqualTo(mdev.toString());
        assertThat(removed.body().at("/holder").isMissingNode()).isTrue();
        assertThat(removed.body().at("/taken").asBoolean()).isFalse();
        api.get("/api/v1/mdevs/" + mdev).requireProblem(404, "not-found");
    }

    @Test
    void aHolderThatLetsGoInItsGraceTimeIsNamedAndLosesNothing() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        long last = api.get("/api/v1/events").numberAt("/lastId");
        CompletableFuture<Answer> removal =
                CompletableFuture.supplyAsync(
                        () -> api.delete("/api/v1/mdevs/%s?grace=60s".formatted(mdev)));
        api.awaitEvent(last, "release_requested");
        api.put("/api/v1/machines/vm1/devices/" + mdev, "").requireStatus(200);

        api.delete("/api/v1/machines/vm1/devices/" + mdev).requireStatus(204);

        Answer removed = removal.join().requireStatus(200);
        assertThat(removed.at("/holder")).isEqualTo("vm1");
        assertThat(removed.body().at("/taken").asBoolean()).isFalse();
    }

    @Test
    void aHolderThatDoesNotLetGoLosesTheDeviceWhenItsGraceTimeIsOver() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.run("vm1", WRITE.formatted(mdev)).requireStatus(200);
        long last = api.get("/api/v1/events").numberAt("/lastId");

        Answer removed =
                api.delete("/api/v1/mdevs/%s?grace=20ms".formatted(mdev)).requireStatus(200);

        assertThat(removed.at("/holder")).isEqualTo("vm1");
        assertThat(removed.body().at("/taken").asBoolean()).isTrue();
        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind"))
                .containsSubsequence("release_requested", "mdev_taken", "mdev_removed");
        api.get("/api/v1/mdevs/" + mdev).requireProblem(404, "not-found");
        assertThat(api.get("/api/v1/machines/vm1").at("/devices/0/mdev"))
                .as("its addresses stay reserved until the machine takes it out")
                .isEqualTo(mdev.toString());
        assertThat(api.run("vm1", WRITE.formatted(mdev)).at("/steps/0/fault/errno"))
                .isEqualTo("ENODEV");
        api.delete("/api/v1/machines/vm1/devices/" + mdev).requireStatus(204);
        api.createMdev("gpu0", "gpu-sample-128m");
        api.createMdev("gpu0", "gpu-sample-128m");
    }

    @Test
    void thatAGuestStillTouchesWhatWasTakenFromItIsNoFailureOfTheDriver() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.delete("/api/v1/mdevs/%s?grace=0s".formatted(mdev)).requireStatus(200);
        long last = api.get("/api/v1/events").numberAt("/lastId");

        assertThat(api.run("vm1", WRITE.formatted(mdev)).at("/steps/0/fault/errno"))
                .isEqualTo("ENODEV");

        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind"))
                .doesNotContain("driver_failed");
    }

    @Test
    void withoutForceTheDeviceStaysWithItsHolder() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);

        Answer refused = api.delete("/api/v1/mdevs/%s?grace=20ms&force=false".formatted(mdev));

        refused.requireProblem(409, "busy");
        assertThat(refused.at("/detail")).contains("vm1").contains("within 20 ms");
        assertThat(api.run("vm1", WRITE.formatted(mdev)).at("/end")).isEqualTo("completed");
        api.delete("/api/v1/mdevs/" + mdev).requireProblem(409, "busy");
    }

    @Test
    void stoppingTakesTheSameCare() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.put("/api/v1/definitions/" + mdev, "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}")
                .requireStatus(201);
        api.createMachine("vm1", mdev);
        api.post("/api/v1/mdevs/%s/stop".formatted(mdev), "").requireProblem(409, "busy");

        Answer stopped = api.post("/api/v1/mdevs/%s/stop?grace=0s".formatted(mdev), "");

        assertThat(stopped.requireStatus(200).at("/holder")).isEqualTo("vm1");
        assertThat(api.get("/api/v1/mdevs/" + mdev).at("/state/activity")).isEqualTo("inactive");
    }

    @Test
    void aDriverThatDoesNotLetGoMakesTheDeviceLostUntilItDoes() {
        UUID mdev = api.createMdev("hostile", "hangs-at-close");
        long last = api.get("/api/v1/events").numberAt("/lastId");

        Answer lost = api.delete("/api/v1/mdevs/" + mdev);

        lost.requireProblem(504, "timed-out");
        assertThat(lost.at("/detail")).contains("close").contains("16 pages are held");
        Answer state = api.get("/api/v1/mdevs/" + mdev).requireStatus(200);
        assertThat(state.at("/state/activity")).isEqualTo("lost");
        assertThat(state.numberAt("/state/heldPages")).isEqualTo(16);
        assertThat(api.get("/api/v1/doctor").at("/lost/0")).contains(mdev.toString());
        assertThat(api.get("/actuator/prometheus").text()).contains("mdevhost_mdevs_lost 1.0");
        api.delete("/api/v1/mdevs/" + mdev).requireProblem(409, "busy");
        api.awaitEvent(last, "callback_overdue");
        HostileDriver.Stuck.releaseAll();
        api.awaitEvent(last, "mdev_recovered");
        api.get("/api/v1/mdevs/" + mdev).requireProblem(404, "not-found");
        assertThat(api.get("/actuator/prometheus").text())
                .contains("mdevhost_mdevs_lost 0.0")
                .contains("mdevhost_driver_slow_callbacks_total{callback=\"close\"");
        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind"))
                .contains("mdev_lost", "callback_slow");
    }

    @Test
    void aGraceTimeThatMakesNoSenseIsRefused() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        String path = "/api/v1/mdevs/" + mdev;
        api.delete(path + "?grace=soon").requireProblem(400, "malformed");
        api.delete(path + "?grace=-1s").requireProblem(422, "invalid");
        api.delete(path + "?grace=11m").requireProblem(422, "invalid");
        api.delete(path + "?force=true").requireProblem(422, "invalid");
        api.get(path).requireStatus(200);
    }
}
