package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;
import dev.mdev.host.operation.Operations;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.TestPropertySource;

import tools.jackson.databind.JsonNode;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/// Work that goes on after the answer to its call.
@DirtiesContext
@TestPropertySource(
        properties = {"mdev.operations.max-running=3", "mdev.access.authentication=none"})
class OperationsTest extends HostTest {
    private static final String OPERATIONS = "/api/v1/operations";
    private static final String ASYNC = "respond-async";

    @Autowired private Operations operations;

    private Answer prefer(String preference, String method, String path, String body) {
        Map<String, String> headers = new HashMap<>(Map.of("Prefer", preference));
        if (!body.isEmpty()) {
            headers.put("Content-Type", Api.JSON);
        }
        return api.send(method, path, body, headers);
    }

    private Answer begin(String method, String path, String body) {
        Answer accepted = prefer(ASYNC, method, path, body).requireStatus(202);
        assertThat(accepted.header("Location")).isEqualTo(OPERATIONS + "/" + accepted.at("/id"));
        assertThat(accepted.header("Preference-Applied")).isEqualTo(ASYNC);
        return accepted;
    }

    /// The operation, once it has ended.
    private Answer end(Answer begun) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (true) {
            Answer now = api.get(begun.header("Location") + "?wait=60s").requireStatus(200);
            if (!List.of("running", "cancelling").contains(now.at("/state"))
                    || System.nanoTime() - end > 0) {
                return now;
            }
        }
    }

    /// A device whose machine does not give it back.
    private UUID held(String machine) {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine(machine, mdev);
        return mdev;
    }

    private Answer beginRemoval(UUID mdev) {
        long last = api.get("/api/v1/events").numberAt("/lastId");
        Answer begun = begin("DELETE", "/api/v1/mdevs/%s?grace=10m".formatted(mdev), "");
        api.awaitEvent(last, "release_requested");
        return begun;
    }

    private List<String> audited(String phase, String path) {
        return api.namesOf(
                "/api/v1/audit?limit=1000&phase=%s&path=%s".formatted(phase, path), "/status");
    }

    @Test
    void aRemovalGoesOnAfterItsAnswerAndTellsItsEnd() {
        UUID mdev = held("vm1");
        String path = "/api/v1/mdevs/" + mdev;
        long last = api.get("/api/v1/events").numberAt("/lastId");

        Answer begun = beginRemoval(mdev);

        assertThat(begun.at("/verb")).isEqualTo("remove");
        assertThat(begun.at("/target")).isEqualTo("mdevs/" + mdev);
        assertThat(begun.at("/state")).isEqualTo("running");
        assertThat(begun.at("/caller")).isEqualTo("anyone");
        Answer waiting = api.get(begun.header("Location")).requireStatus(200);
        assertThat(waiting.at("/doing")).startsWith("waits for vm1");
        assertThat(waiting.body().at("/cancellable").asBoolean()).isTrue();
        assertThat(waiting.body().has("status")).isFalse();
        api.delete("/api/v1/machines/vm1/devices/" + mdev).requireStatus(204);
        Answer ended = end(begun);
        assertThat(ended.at("/state")).isEqualTo("done");
        assertThat(ended.numberAt("/status")).isEqualTo(200);
        assertThat(ended.at("/result/holder")).isEqualTo("vm1");
        assertThat(ended.at("/progress/unit")).isEqualTo("pages");
        assertThat(ended.numberAt("/progress/done"))
                .isEqualTo(ended.numberAt("/progress/total"))
                .isGreaterThanOrEqualTo(4096);
        assertThat(ended.at("/ended")).isGreaterThan(ended.at("/started"));
        api.get(path).requireProblem(404, "not-found");
        assertThat(
                        api.namesOf(
                                "/api/v1/events?after=%d&subject=operations/%s"
                                        .formatted(last, begun.at("/id")),
                                "/kind"))
                .containsExactly("operation_started", "operation_ended");
        assertThat(audited("done", path)).containsExactly("202");
        assertThat(audited("ended", path)).containsExactly("200");
    }

    @Test
    void aCancelledRemovalLeavesTheDeviceWithItsHolder() {
        UUID mdev = held("vm1");
        Answer begun = beginRemoval(mdev);
        String operation = begun.header("Location");
        api.delete(operation + "?dryRun=true").requireStatus(204);
        assertThat(api.get(operation).at("/state")).isEqualTo("running");

        api.delete(operation).requireStatus(202);

        Answer ended = end(begun);
        assertThat(ended.at("/state")).isEqualTo("cancelled");
        assertThat(ended.at("/problem/code")).isEqualTo("wrong-state");
        assertThat(ended.at("/problem/detail")).contains("cancelled by anyone");
        assertThat(ended.numberAt("/status")).isEqualTo(409);
        assertThat(api.get("/api/v1/mdevs/" + mdev).at("/machine")).isEqualTo("vm1");
        assertThat(audited("ended", "/api/v1/mdevs/" + mdev)).containsExactly("409");
        api.delete(operation).requireProblem(409, "wrong-state");
        api.delete("/api/v1/machines/vm1/devices/" + mdev).requireStatus(204);
        api.delete("/api/v1/mdevs/" + mdev).requireStatus(204);
    }

    @Test
    void whatCanOnlyBeCompletedSaysWhyItIsNotCancelled() throws InterruptedException {
        UUID mdev = api.createMdev("hostile", "hangs-at-close");
        Answer begun = begin("DELETE", "/api/v1/mdevs/" + mdev, "");
        HostileDriver.Stuck.awaitEntered();

        Answer refused = api.delete(begun.header("Location"));

        refused.requireProblem(409, "wrong-state");
        assertThat(refused.at("/detail")).contains("mdev=%s is being ended".formatted(mdev));
        Answer closing = api.get(begun.header("Location"));
        assertThat(closing.at("/state")).isEqualTo("running");
        assertThat(closing.body().at("/cancellable").asBoolean()).isFalse();
        HostileDriver.Stuck.releaseAll();
        Answer ended = end(begun);
        assertThat(ended.numberAt("/status")).isEqualTo(204);
        assertThat(ended.body().has("result")).isFalse();
    }

    @Test
    void aClientThatWaitsAWhileGetsTheAnswerItselfIfItComes() {
        String wait = ASYNC + ", wait=60";
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");

        prefer(wait, "DELETE", "/api/v1/mdevs/%s?grace=11m".formatted(mdev), "")
                .requireProblem(422, "invalid");
        prefer(wait, "DELETE", "/api/v1/mdevs/" + mdev, "").requireStatus(204);
        prefer(wait, "DELETE", "/api/v1/mdevs/" + mdev, "").requireProblem(404, "not-found");
        prefer(wait, "POST", "/api/v1/parents/gpu0/repair", "").requireStatus(204);
        UUID held = held("vm1");
        Answer begun =
                prefer(
                                ASYNC + ", wait=1",
                                "DELETE",
                                "/api/v1/mdevs/%s?grace=10m".formatted(held),
                                "")
                        .requireStatus(202);

        List<String> states = api.namesOf(OPERATIONS + "?target=mdevs/" + mdev, "/state");
        assertThat(states).containsExactly("failed", "done", "failed");
        api.delete("/api/v1/machines/vm1/devices/" + held).requireStatus(204);
        assertThat(end(begun).at("/state")).isEqualTo("done");
    }

    @Test
    void aClientThatSaysNothingOrSomethingElseWaits() {
        for (String preference :
                List.of("wait=1", "return=minimal", ";", "respond-asynchronously")) {
            UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
            prefer(preference, "DELETE", "/api/v1/mdevs/" + mdev, "").requireStatus(204);
        }
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        prefer(ASYNC, "DELETE", "/api/v1/mdevs/%s?dryRun=1".formatted(mdev), "").requireStatus(204);
        prefer(ASYNC, "DELETE", "/api/v1/mdevs/%s?garce=1s".formatted(mdev), "")
                .requireProblem(400, "malformed");
        prefer(ASYNC, "PATCH", "/api/v1/mdevs/" + mdev, "{\"displayName\":\"x\"}")
                .requireStatus(200);
    }

    @Test
    void onlySoManyRunAndTheOthersAreRefusedWithoutAnyEffect() {
        List<Answer> begun = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            begun.add(beginRemoval(held("vm" + i)));
        }
        assertThat(api.get("/actuator/prometheus").text())
                .contains("mdevhost_operations_running 3.0");
        UUID one = api.createMdev("gpu0", "gpu-sample-16m");

        Answer full = prefer(ASYNC, "DELETE", "/api/v1/mdevs/" + one, "");

        full.requireProblem(503, "unavailable");
        assertThat(full.at("/detail")).contains("mdev.operations.max-running");
        api.get("/api/v1/mdevs/" + one).requireStatus(200);
        // Those who wait take nobody's place.
        api.delete("/api/v1/mdevs/" + one).requireStatus(204);
        begun.forEach(it -> api.delete(it.header("Location")).requireStatus(202));
        begun.forEach(it -> assertThat(end(it).at("/state")).isEqualTo("cancelled"));
        assertThat(api.get("/actuator/prometheus").text())
                .contains("mdevhost_operations_running 0.0")
                .contains("mdevhost_operations_ended_total{state=\"interrupted\"} 0.0");
    }

    @Test
    void theListHasPartsAndFilters() {
        for (int i = 0; i < 3; i++) {
            UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
            end(begin("DELETE", "/api/v1/mdevs/" + mdev, ""));
        }
        Answer repair = end(begin("POST", "/api/v1/parents/gpu0/repair", ""));

        assertThat(repair.at("/result")).isEmpty();
        assertThat(repair.numberAt("/status")).isEqualTo(204);
        String last = api.namesOf(OPERATIONS + "?verb=remove&state=done", "/id").getLast();
        assertThat(api.namesOf(OPERATIONS + "?limit=1&after=" + last, "/id"))
                .containsExactly(repair.at("/id"));
        assertThat(api.namesOf(OPERATIONS + "?target=parents/gpu0", "/verb"))
                .contains("repair")
                .doesNotContain("remove");
        assertThat(api.namesOf(OPERATIONS + "?state=failed&verb=repair", "/id")).isEmpty();
        assertThat(api.namesOf(OPERATIONS + "?caller=nobody", "/id")).isEmpty();
        assertThat(api.get(OPERATIONS + "?limit=1").at("/next")).isNotEmpty();
        api.get(OPERATIONS + "?state=nope").requireProblem(400, "malformed");
        api.get(OPERATIONS + "/nope").requireProblem(404, "not-found");
        api.get(repair.at("/id").isEmpty() ? "" : OPERATIONS + "/" + repair.at("/id") + "?wait=61s")
                .requireProblem(422, "invalid");
        Answer former = api.get(OPERATIONS + "/00000000-0000000001");
        former.requireProblem(404, "not-found");
        assertThat(former.at("/detail")).contains("another life");
    }

    @Test
    void aDocumentIsAppliedStepByStepAndItsReportIsKept() {
        String document =
                """
                {"manager":"site","mdevs":{
                  "11111111-1111-4111-8111-111111111111":{"parent":"gpu0","type":"gpu-sample-16m"},
                  "22222222-2222-4222-8222-222222222222":{"parent":"gpu0","type":"gpu-sample-16m"}}}\
                """;

        Answer ended = end(begin("PUT", "/api/v1/desired", document));

        assertThat(ended.at("/target")).isEqualTo("desired");
        assertThat(ended.at("/state")).isEqualTo("done");
        assertThat(ended.body().at("/result/met").asBoolean()).as(ended.text()).isTrue();
        assertThat(ended.at("/progress/unit")).isEqualTo("steps");
        assertThat(ended.numberAt("/progress/done")).isEqualTo(2);
    }

    @Test
    void movesToMakeRoomTellHowManyPagesTheyCopied() {
        List<UUID> all = new ArrayList<>();
        for (int i = 0; i < 63; i++) {
            all.add(api.createMdev("hostile", i == 3 ? "movable" : "honest"));
        }
        api.delete("/api/v1/mdevs/" + all.get(2)).requireStatus(204);
        String big = "/api/v1/parents/hostile/types/big";
        JsonNode plan = api.get(big + "/explain").requireStatus(200).body().at("/plan");

        Answer ended =
                end(
                        begin(
                                "POST",
                                big + "/defragment",
                                "{\"plan\":\"%s\"}".formatted(plan.at("/id").asString())));

        assertThat(ended.at("/state")).as(ended.text()).isEqualTo("done");
        assertThat(ended.body().at("/result/fits").asBoolean()).as(ended.text()).isTrue();
        assertThat(ended.numberAt("/progress/done"))
                .isEqualTo(ended.numberAt("/progress/total"))
                .isPositive();
    }

    /// Of two changes of what a client saw, one is refused, also while the first goes on.
    @Test
    void aConditionHoldsUntilTheEndOfTheOperation() {
        UUID mdev = held("vm1");
        String path = "/api/v1/mdevs/" + mdev;
        String tag = api.get(path).header("ETag");
        Map<String, String> headers = Map.of("Prefer", ASYNC, "If-Match", tag);
        Answer begun = api.send("DELETE", path + "?grace=10m", "", headers).requireStatus(202);

        api.send(
                        "PATCH",
                        path,
                        "{\"displayName\":\"x\"}",
                        Map.of("If-Match", tag, "Content-Type", "application/merge-patch+json"))
                .requireProblem(503, "unavailable");
        api.delete(begun.header("Location")).requireStatus(202);
        end(begun);

        api.send(
                        "PATCH",
                        path,
                        "{\"displayName\":\"x\"}",
                        Map.of("If-Match", tag, "Content-Type", "application/merge-patch+json"))
                .requireStatus(200);
    }

    /// As Spring pauses a context that no test uses at the moment.
    @Test
    void afterAPauseWorkBeginsAgain() {
        operations.stop();
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        prefer(ASYNC, "DELETE", "/api/v1/mdevs/" + mdev, "").requireProblem(503, "unavailable");
        api.delete("/api/v1/mdevs/" + mdev).requireProblem(503, "unavailable");

        operations.start();

        assertThat(end(begin("DELETE", "/api/v1/mdevs/" + mdev, "")).at("/state"))
                .isEqualTo("done");
    }

    @Test
    void aWaitingClientIsAnsweredAtTheEnd() {
        UUID mdev = held("vm1");
        Answer begun = beginRemoval(mdev);
        CompletableFuture<Answer> waiter = CompletableFuture.supplyAsync(() -> end(begun));

        api.delete("/api/v1/machines/vm1/devices/" + mdev).requireStatus(204);

        assertThat(waiter.join().at("/state")).isEqualTo("done");
    }
}
