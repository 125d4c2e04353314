package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.TestPropertySource;

import tools.jackson.databind.JsonNode;

import java.util.List;
import java.util.UUID;
import java.util.function.BooleanSupplier;

/// Troubles of devices that last, and what the service's health says of them.
@TestPropertySource(properties = "mdev.require-parents=gpu0,hostile")
@DirtiesContext
class TroublesTest extends HostTest {
    @AfterEach
    void bringTheParentBack() {
        if (!api.namesOf("/api/v1/parents", "/name").contains("gpu0")) {
            api.post("/api/v1/parents", "{\"driver\":\"gpu-sample\"}").requireStatus(200);
        }
    }

    private void access(String op, UUID mdev) {
        api.run(
                        "vm1",
                        """
                        {"steps":[{"op":"%s","at":{"mdev":"%s","bar":0,"offset":"0x3000"}}]}\
                        """
                                .formatted(op, mdev))
                .requireStatus(200);
    }

    private String troubleOf(UUID mdev) {
        return api.get("/api/v1/mdevs/" + mdev).requireStatus(200).at("/state/trouble");
    }

    private static void await(BooleanSupplier condition) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime() - end).as("nothing came in time").isNegative();
        }
    }

    private void requireTrouble(UUID mdev, String kind, String words) {
        await(() -> troubleOf(mdev).contains(kind + ": "));
        assertThat(troubleOf(mdev)).contains(words);
        JsonNode trouble = api.get("/api/v1/doctor").requireStatus(200).body().at("/troubles/0");
        assertThat(trouble.at("/mdev").asString()).isEqualTo(mdev.toString());
        assertThat(trouble.at("/kind").asString()).isEqualTo(kind);
        assertThat(trouble.at("/detail").asString()).contains(words);
        assertThat(trouble.at("/since").asString()).endsWith("Z");
        Answer health = api.get("/actuator/health").requireStatus(200);
        assertThat(health.at("/status")).isEqualTo("DEGRADED");
        assertThat(health.numberAt("/components/troubles/details/" + kind)).isEqualTo(1);
        assertThat(health.text()).as("health is for everyone").doesNotContain(mdev.toString());
        assertThat(api.get("/actuator/health/devices").requireStatus(503).at("/status"))
                .isEqualTo("DEGRADED");
        api.get("/actuator/health/readiness").requireStatus(200);
        assertThat(scrape()).contains("mdevhost_troubles{kind=\"%s\"} 1.0".formatted(kind));
    }

    private void requireNone() {
        await(() -> api.get("/api/v1/doctor").body().at("/troubles").isEmpty());
        assertThat(api.get("/actuator/health/devices").requireStatus(200).at("/status"))
                .isEqualTo("UP");
        assertThat(scrape())
                .contains(
                        "mdevhost_troubles{kind=\"start_failed\"} 0.0",
                        "mdevhost_troubles{kind=\"restore_failed\"} 0.0",
                        "mdevhost_troubles{kind=\"grant_refused\"} 0.0",
                        "mdevhost_troubles{kind=\"driver_failed\"} 0.0");
    }

    private List<String> scrape() {
        return api.get("/actuator/prometheus").requireStatus(200).text().lines().toList();
    }

    @Test
    void aRefusedGrantLastsUntilTheDriverAnswersWellForThePage() {
        UUID mdev = api.createMdev("hostile", "grants-only-reading");
        api.createMachine("vm1", mdev);
        requireNone();

        access("write", mdev);

        requireTrouble(mdev, "grant_refused", "region=0 page=0x3 access=WRITE");
        access("read", mdev);
        requireNone();
        assertThat(troubleOf(mdev)).isEmpty();
    }

    @Test
    void aDriverThatFailsIsATroubleUntilTheDeviceIsResetOrEnds() {
        UUID mdev = api.createMdev("hostile", "throws-anything");
        api.createMachine("vm1", mdev);
        access("write", mdev);
        requireTrouble(mdev, "driver_failed", "a bug");

        api.post("/api/v1/mdevs/%s/reset".formatted(mdev), "").requireStatus(204);

        requireNone();
        access("write", mdev);
        requireTrouble(mdev, "driver_failed", "a bug");
        api.delete("/api/v1/machines/vm1").requireStatus(204);
        api.delete("/api/v1/mdevs/" + mdev).requireStatus(204);
        requireNone();
    }

    @Test
    void aFailedRestoreLastsUntilAStateIsRestored() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        String path = "/api/v1/mdevs/%s/state".formatted(mdev);
        byte[] state = api.bytes(path).body();
        byte[] changed = state.clone();
        changed[changed.length - 1] ^= 1;

        api.putBytes(path, changed).requireProblem(400, "malformed");

        requireTrouble(mdev, "restore_failed", "");
        api.putBytes(path, state).requireStatus(204);
        requireNone();
    }

    @Test
    void aFailedAutostartLastsUntilTheDeviceStartsOrIsNotToStart() {
        UUID first = define(1, true);
        UUID second = define(2, true);
        UUID third = define(3, true);
        api.delete("/api/v1/parents/gpu0").requireStatus(204);
        api.post("/api/v1/parents", "{\"driver\":\"gpu-sample\"}").requireStatus(200);

        requireTrouble(third, "start_failed", "parent=gpu0 EUSERS");

        api.post("/api/v1/mdevs/%s/stop".formatted(first), "").requireStatus(200);
        api.post("/api/v1/mdevs/%s/start".formatted(third), "").requireStatus(200);
        requireNone();
        api.delete("/api/v1/parents/gpu0").requireStatus(204);
        api.post("/api/v1/parents", "{\"driver\":\"gpu-sample\"}").requireStatus(200);
        requireTrouble(third, "start_failed", "parent=gpu0 EUSERS");
        define(3, false);
        requireNone();
        assertThat(troubleOf(second)).isEmpty();
    }

    /// Two of them fit.
    private UUID define(int number, boolean autostart) {
        UUID uuid = new UUID(0x4000L, 0x8000_0000_0000_0000L + number);
        Answer defined =
                api.put(
                        "/api/v1/definitions/" + uuid,
                        "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-128m\",\"autostart\":%b}"
                                .formatted(autostart));
        assertThat(defined.status()).isIn(200, 201);
        return uuid;
    }

    @Test
    void withoutARequiredParentTheServiceIsNotReady() {
        api.get("/actuator/health/readiness").requireStatus(200);

        api.delete("/api/v1/parents/gpu0").requireStatus(204);

        Answer readiness = api.get("/actuator/health/readiness").requireStatus(503);
        assertThat(readiness.text()).isEqualTo("{\"status\":\"OUT_OF_SERVICE\"}");
        api.get("/actuator/health/devices").requireStatus(503);
        assertThat(api.get("/api/v1/doctor").at("/missingParents/0")).isEqualTo("gpu0");
        assertThat(scrape()).contains("mdevhost_parents_missing 1.0");
        api.post("/api/v1/parents", "{\"driver\":\"gpu-sample\"}").requireStatus(200);
        api.get("/actuator/health/readiness").requireStatus(200);
        assertThat(api.get("/api/v1/doctor").body().at("/missingParents").isEmpty()).isTrue();
    }
}
