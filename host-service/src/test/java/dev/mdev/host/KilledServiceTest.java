package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/// A service that is killed in the middle of a verb finds, at its next start, its devices in the
/// old or the new state.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class KilledServiceTest {
    private static final UUID ONE = UUID.fromString("c0000000-0000-4000-8000-000000000001");
    private static final UUID TWO = UUID.fromString("c0000000-0000-4000-8000-000000000002");
    private static final UUID THREE = UUID.fromString("c0000000-0000-4000-8000-000000000003");

    @TempDir Path folder;

    private static String spec(String parent, String type, boolean autostart) {
        return "{\"parent\":\"%s\",\"type\":\"%s\",\"persist\":true,\"autostart\":%b}"
                .formatted(parent, type, autostart);
    }

    /// Each device that is known, and what it is doing.
    private static Map<String, String> activities(Api api) {
        Map<String, String> all = new TreeMap<>();
        api.get("/api/v1/mdevs")
                .requireStatus(200)
                .body()
                .at("/items")
                .forEach(item ->
                        all.put(
                                item.at("/uuid").asString(),
                                item.at("/state/activity").asString()));
        return all;
    }

    /// Requests something that takes longer than the service's remaining life.
    private static CompletableFuture<Void> ask(Runnable request) {
        return CompletableFuture.runAsync(() -> {
            try {
                request.run();
            } catch (UncheckedIOException e) {
                // The service died under it.
            }
        });
    }

    private static void awaitUnfinished(Api api, String verb) {
        while (!api.get("/api/v1/doctor").at("/state/unfinished/0/verb").equals(verb)) {
            Thread.onSpinWait();
        }
    }

    @Test
    void whatIsDefinedComesBackAfterAnEndThatNobodyAskedFor() throws Exception {
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            Api api = service.api();
            api.put("/api/v1/mdevs/" + ONE, spec("gpu0", "gpu-sample-16m", true))
                    .requireStatus(201);
            api.put("/api/v1/mdevs/" + TWO, spec("hostile", "honest", false)).requireStatus(201);
            api.createMdev("hostile", "honest");
            CompletableFuture<Void> making =
                    ask(() ->
                            api.put(
                                    "/api/v1/mdevs/" + THREE,
                                    spec("hostile", "hangs-at-create", true)));
            awaitUnfinished(api, "create_defined");
            service.kill();
            making.join();
        }
        Files.writeString(folder.resolve("state").resolve("junk.mdev"), "not a definition\n");
        Files.writeString(folder.resolve("state").resolve("a junk;.mdev"), "not either\n");
        Path plugins = Files.createDirectory(folder.resolve("plugins"));
        Files.writeString(plugins.resolve("junk.jar"), "not a jar\n");
        try (ServiceProcess service =
                ServiceProcess.start(folder, "--mdev.plugin-dir=" + plugins)) {
            Api api = service.api();

            assertThat(activities(api))
                    .as("the creation that did not end never was; the transient device is gone")
                    .isEqualTo(Map.of(ONE.toString(), "active", TWO.toString(), "inactive"));
            Answer doctor = api.get("/api/v1/doctor").requireStatus(200);
            assertThat(doctor.at("/state/directory")).endsWith("state");
            assertThat(doctor.at("/state/resolved/0/verb")).isEqualTo("create_defined");
            assertThat(doctor.at("/state/resolved/0/mdev")).isEqualTo(THREE.toString());
            assertThat(doctor.body().at("/state/unfinished").size()).isZero();
            assertThat(doctor.at("/state/quarantined/0/file")).isEqualTo("junk.mdev");
            String alias = doctor.at("/state/quarantined/1/file");
            assertThat(alias).isEqualTo("~a~20junk~3b.mdev");
            assertThat(doctor.body().at("/drivers"))
                    .as("what is wrong with one driver keeps no other from working")
                    .anySatisfy(driver -> {
                        assertThat(driver.at("/name").asString()).isEqualTo("junk.jar");
                        assertThat(driver.at("/trouble").asString()).contains("not a driver jar");
                    });
            assertThat(api.namesOf("/api/v1/events", "/kind"))
                    .contains("verb_resolved", "definition_quarantined", "parent_arrived");
            api.delete("/api/v1/definitions/quarantined/junk.mdev").requireStatus(204);
            assertThat(folder.resolve("state").resolve("junk.mdev")).doesNotExist();
            api.delete("/api/v1/definitions/quarantined/" + alias).requireStatus(204);
            assertThat(folder.resolve("state").resolve("a junk;.mdev")).doesNotExist();

            CompletableFuture<Void> removing = ask(() -> removeHanging(api));
            awaitUnfinished(api, "remove");
            service.kill();
            removing.join();
        }
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            Api api = service.api();
            assertThat(activities(api))
                    .as("the removal that had begun is over")
                    .isEqualTo(Map.of(ONE.toString(), "active", TWO.toString(), "inactive"));
            assertThat(api.get("/api/v1/doctor").at("/state/resolved/0/verb")).isEqualTo("remove");
            service.stop();
        }
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            assertThat(activities(service.api()))
                    .isEqualTo(Map.of(ONE.toString(), "active", TWO.toString(), "inactive"));
            assertThat(service.api().get("/api/v1/doctor").body().at("/state/resolved").size())
                    .as("an orderly end leaves nothing to be resolved")
                    .isZero();
            assertThatThrownBy(() -> ServiceProcess.start(folder).close())
                    .as("two services do not share a state directory")
                    .hasMessageContaining("is in use");
        }
    }

    private static void removeHanging(Api api) {
        api.put("/api/v1/mdevs/" + THREE, spec("hostile", "hangs-at-close", true))
                .requireStatus(201);
        api.delete("/api/v1/mdevs/" + THREE);
    }
}
