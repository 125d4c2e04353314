package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.UUID;

/// Parents that leave. Each test has one of its own, because only that of the last one returns.
class ParentExitTest extends OwnHostTest {
    private void requireGone(String parent) {
        api.get("/api/v1/parents/" + parent).requireProblem(404, "not-found");
        assertThat(api.namesOf("/api/v1/parents", "/name")).doesNotContain(parent);
        api.delete("/api/v1/parents/" + parent).requireProblem(404, "not-found");
        // The event comes first, then its series go.
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (hasSeriesOf(parent) && System.nanoTime() - end < 0) {
            Thread.onSpinWait();
        }
        assertThat(hasSeriesOf(parent)).as("series of parent=%s", parent).isFalse();
        api.post("/api/v1/mdevs", "{\"parent\":\"%s\",\"type\":\"honest\"}".formatted(parent))
                .requireProblem(422, "invalid");
    }

    private boolean hasSeriesOf(String parent) {
        return api.get("/actuator/prometheus")
                .requireStatus(200)
                .text()
                .contains("parent=\"%s\"".formatted(parent));
    }

    @Test
    void aParentWhoseDevicesNobodyHasLeavesAndDefinitionsStay() {
        UUID mdev = api.createMdev("idle", "honest");
        String defined = "/api/v1/definitions/" + UUID.randomUUID();
        api.put(defined, "{\"parent\":\"idle\",\"type\":\"honest\"}").requireStatus(201);
        assertThat(api.get("/api/v1/parents/idle").at("/presence")).isEqualTo("present");
        assertThat(api.get("/actuator/prometheus").text()).contains("parent=\"idle\"");
        long last = api.get("/api/v1/events").numberAt("/lastId");

        api.delete("/api/v1/parents/idle").requireStatus(204);

        requireGone("idle");
        api.get("/api/v1/mdevs/" + mdev).requireProblem(404, "not-found");
        api.get(defined).requireStatus(200);
        api.post(defined.replace("definitions", "mdevs") + "/start", "")
                .requireProblem(409, "wrong-state");
        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind"))
                .containsSubsequence("mdev_removed", "parent_left");
    }

    @Test
    void aParentWhoseDeviceIsInUseStaysUnlessAGraceTimeIsGiven() {
        UUID mdev = api.createMdev("used", "honest");
        UUID other = api.createMdev("used", "honest");
        api.createMachine("vm1", mdev);

        Answer busy = api.delete("/api/v1/parents/used");

        busy.requireProblem(409, "busy");
        assertThat(busy.at("/detail")).contains(mdev.toString(), "vm1");
        assertThat(api.get("/api/v1/parents/used").at("/presence")).isEqualTo("present");
        api.get("/api/v1/mdevs/" + other).requireStatus(200);

        Answer left = api.delete("/api/v1/parents/used?grace=20ms").requireStatus(200);

        assertThat(left.at("/name")).isEqualTo("used");
        assertThat(left.body().at("/mdevs"))
                .hasSize(2)
                .anySatisfy(ended -> {
                    assertThat(ended.at("/uuid").asString()).isEqualTo(mdev.toString());
                    assertThat(ended.at("/holder").asString()).isEqualTo("vm1");
                });
        requireGone("used");
    }

    @Test
    void aParentWhoseDriverDoesNotLetGoLeavesWhenItDoes() {
        UUID mdev = api.createMdev("stuck", "hangs-at-close");
        long last = api.get("/api/v1/events").numberAt("/lastId");

        Answer stuck = api.delete("/api/v1/parents/stuck");

        stuck.requireProblem(504, "timed-out");
        assertThat(stuck.at("/detail")).contains("parents=stuck", mdev.toString(), "close");
        assertThat(api.get("/api/v1/parents/stuck").at("/presence")).isEqualTo("leaving");
        requireNothingIsMadeOn("stuck");
        api.awaitEvent(last, "callback_overdue");
        assertThat(api.get("/api/v1/doctor").at("/overdue/0"))
                .as("a device that is not active any more, too")
                .contains(mdev.toString(), "close");
        assertThat(api.get("/actuator/prometheus").text())
                .contains("mdevhost_driver_overdue_calls 1.0");
        HostileDriver.Stuck.releaseAll();
        api.awaitEvent(last, "parent_left");
        requireGone("stuck");
    }

    private void requireNothingIsMadeOn(String parent) {
        String spec = "{\"parent\":\"%s\",\"type\":\"honest\"}".formatted(parent);
        Answer refused = api.post("/api/v1/mdevs", spec).requireProblem(409, "wrong-state");
        assertThat(refused.at("/detail")).contains("parent=" + parent, "LEAVING");
        assertThat(refused.at("/errno")).isEqualTo("ENODEV");
        UUID defined = UUID.randomUUID();
        api.put("/api/v1/mdevs/" + defined, spec).requireProblem(409, "wrong-state");
        api.put("/api/v1/definitions/" + defined, spec).requireStatus(201);
        api.post("/api/v1/mdevs/%s/start".formatted(defined), "")
                .requireProblem(409, "wrong-state");
        api.delete("/api/v1/definitions/" + defined).requireStatus(204);

        Answer type = api.get("/api/v1/parents/%s/types/honest".formatted(parent));
        assertThat(type.numberAt("/availableInstances")).isZero();
        assertThat(type.at("/refusal")).isEqualTo("parent=%s is leaving".formatted(parent));
        assertThat(api.get("/api/v1/parents/%s/capacity".formatted(parent)).body().at("/types"))
                .allSatisfy(it -> assertThat(it.at("/available").asInt()).isZero());
        assertThat(api.get("/actuator/prometheus").text())
                .contains(
                        "mdevhost_type_available{parent=\"%s\",type=\"honest\"} 0.0"
                                .formatted(parent));
    }

    @Test
    void aParentThatCannotLeaveForWantOfRoomIsToBeAskedAgain() {
        UUID mdev = api.createMdev("full", "honest");
        files.failWith(Errno.ENOSPC);

        Answer full = api.delete("/api/v1/parents/full");

        full.requireProblem(507, "store-full");
        assertThat(full.at("/detail")).contains("parents=full", "directory=/tests");
        api.get("/api/v1/mdevs/" + mdev).requireStatus(200);
        files.failWith(null);
        api.delete("/api/v1/parents/full").requireStatus(204);
        requireGone("full");
    }

    @Test
    void aDriverLooksForOneParentThatLeft() {
        String driver = "{\"driver\":\"gpu-sample\",\"parent\":\"%s\"}";
        api.post("/api/v1/parents", driver.formatted("gpu0")).requireProblem(409, "exists");
        api.delete("/api/v1/parents/gpu0").requireStatus(204);
        Answer unknown = api.post("/api/v1/parents", driver.formatted("gpu7"));
        unknown.requireProblem(404, "not-found");
        assertThat(unknown.at("/detail")).contains("driver=gpu-sample finds no parent=gpu7");
        assertThat(api.namesOf("/api/v1/parents", "/name")).doesNotContain("gpu0");

        Answer found = api.post("/api/v1/parents", driver.formatted("gpu0")).requireStatus(200);

        assertThat(found.at("/items/0/name")).isEqualTo("gpu0");
        assertThat(api.namesOf("/api/v1/parents", "/name")).contains("gpu0");
    }

    @ParameterizedTest
    @CsvSource({
        "nope,                        404, not-found",
        "gpu0?grace=soon,             400, malformed",
        "gpu0?grace=-1s,              422, invalid",
        "gpu0?grace=11m,              422, invalid",
        "gpu0?force=true,             422, invalid",
        "gpu0?grace=1s&force=false,   422, invalid",
    })
    void whatMakesNoSenseIsRefused(String path, int status, String code) {
        api.delete("/api/v1/parents/" + path).requireProblem(status, code);
        api.get("/api/v1/parents/gpu0").requireStatus(200);
    }
}
