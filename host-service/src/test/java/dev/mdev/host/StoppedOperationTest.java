package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/// Long work when the service ends.
@Tag("slow")
class StoppedOperationTest {
    private static final String GRACE = "?grace=10m";

    @TempDir private Path folder = Path.of("");

    private static UUID held(Api api, String machine) {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine(machine, mdev);
        return mdev;
    }

    @Test
    void aStopEndsTheWaitsAndAnswersWhoeverWaits() throws Exception {
        String operation;
        try (ServiceProcess service =
                ServiceProcess.start(folder, "--spring.lifecycle.timeout-per-shutdown-phase=10m")) {
            Api api = service.api();
            UUID one = held(api, "vm1");
            UUID two = held(api, "vm2");
            long last = api.get("/api/v1/events").numberAt("/lastId");
            operation =
                    api.send(
                                    "DELETE",
                                    "/api/v1/mdevs/" + one + GRACE,
                                    "",
                                    Map.of("Prefer", "respond-async"))
                            .requireStatus(202)
                            .header("Location");
            CompletableFuture<Answer> waiter =
                    CompletableFuture.supplyAsync(() -> api.get(operation + "?wait=60s"));
            CompletableFuture<Answer> removal =
                    CompletableFuture.supplyAsync(() -> api.delete("/api/v1/mdevs/" + two + GRACE));
            while (count(api, last) < 2) {
                Thread.onSpinWait();
            }

            service.stop();

            assertThat(removal.join().requireProblem(503, "unavailable").at("/detail"))
                    .contains("is being stopped");
            Answer ended = waiter.join().requireStatus(200);
            assertThat(ended.at("/state")).isIn("running", "interrupted");
        }
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            Answer gone = service.api().get(operation);
            gone.requireProblem(404, "not-found");
            assertThat(gone.at("/detail")).contains("another life");
            assertThat(service.api().namesOf("/api/v1/audit?phase=ended", "/status"))
                    .containsExactly("503");
            service.stop();
        }
        assertThat(Files.readString(folder.resolve("service.log")))
                .doesNotContain("bug in this service");
    }

    private static long count(Api api, long last) {
        return api.namesOf("/api/v1/events?limit=1000&after=" + last, "/kind").stream()
                .filter("release_requested"::equals)
                .count();
    }

    /// The end of what was going on is the recovery's, and the audit log shows that it had begun.
    @Test
    void aKillLeavesNoOperationAndTheDeviceWhole() throws Exception {
        UUID mdev;
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            Api api = service.api();
            mdev = held(api, "vm1");
            api.put(
                            "/api/v1/definitions/" + mdev,
                            "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}")
                    .requireStatus(201);
            long last = api.get("/api/v1/events").numberAt("/lastId");
            api.send(
                            "DELETE",
                            "/api/v1/mdevs/" + mdev + GRACE,
                            "",
                            Map.of("Prefer", "respond-async"))
                    .requireStatus(202);
            api.awaitEvent(last, "release_requested");
            service.kill();
        }
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            Api api = service.api();
            assertThat(api.namesOf("/api/v1/operations", "/id")).isEmpty();
            assertThat(api.get("/api/v1/mdevs/" + mdev).at("/state/activity"))
                    .isEqualTo("inactive");
            assertThat(api.namesOf("/api/v1/audit?path=/api/v1/mdevs/" + mdev, "/phase"))
                    .isEqualTo(List.of("asked", "done"));
            service.stop();
        }
    }
}
