package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.UUID;

/// Definitions, starts and stops, and the resulting facts of a device.
class DefinitionTest extends HostTest {
    private static final UUID ONE = UUID.fromString("d0000000-0000-4000-8000-000000000001");
    private static final String MDEV = "/api/v1/mdevs/" + ONE;
    private static final String DEFINITION = "/api/v1/definitions/" + ONE;
    private static final String SPEC = "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}";

    private static String with(String fields) {
        return SPEC.replace("}", "," + fields + "}");
    }

    private void requireState(boolean defined, boolean active, boolean assigned) {
        Answer mdev = api.get(MDEV).requireStatus(200);
        assertThat(mdev.body().at("/state/defined").asBoolean()).as("defined").isEqualTo(defined);
        assertThat(mdev.body().at("/state/active").asBoolean()).as("active").isEqualTo(active);
        assertThat(mdev.body().at("/state/assigned").asBoolean())
                .as("assigned")
                .isEqualTo(assigned);
        assertThat(mdev.at("/state/owner")).isEqualTo("ours");
        assertThat(mdev.at("/state/activity")).isEqualTo(active ? "active" : "inactive");
        assertThat(mdev.numberAt("/state/heldPages")).isEqualTo(active ? 4098 : 0);
        assertThat(mdev.body().at("/created").isMissingNode()).isEqualTo(!active);
    }

    @Test
    void theThreeFactsChangeIndependently() {
        api.put(DEFINITION, SPEC).requireStatus(201);
        requireState(true, false, false);
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).containsExactly(ONE.toString());
        assertThat(api.post(MDEV + "/start", "").requireStatus(200).at("/type"))
                .isEqualTo("gpu-sample-16m");
        requireState(true, true, false);
        api.createMachine("vm1", ONE);
        requireState(true, true, true);
        assertThat(api.get(MDEV).at("/machine")).isEqualTo("vm1");
        api.delete(DEFINITION).requireStatus(204);
        requireState(false, true, true);
        api.put(DEFINITION, SPEC).requireStatus(201);
        requireState(true, true, true);
        api.delete("/api/v1/machines/vm1/devices/" + ONE).requireStatus(204);
        api.post(MDEV + "/stop", "").requireStatus(200);
        requireState(true, false, false);
        api.delete(DEFINITION).requireStatus(204);
        api.get(MDEV).requireProblem(404, "not-found");
    }

    @Test
    void aDeviceMayBeMadeAndWrittenDownAtOnce() {
        String made = with("\"persist\":true,\"autostart\":true");
        api.put(MDEV, made).requireStatus(201);
        requireState(true, true, false);
        assertThat(api.get(DEFINITION).requireStatus(200).body().at("/autostart").asBoolean())
                .isTrue();
        api.put(MDEV, made).requireStatus(200);
        api.put(MDEV, SPEC).requireStatus(200);
        requireState(true, true, false);
        api.put(MDEV, with("\"persist\":true")).requireStatus(200);
        assertThat(api.get(DEFINITION).body().at("/autostart").asBoolean()).isFalse();
        api.put(MDEV, with("\"autostart\":true"))
                .requireProblem(422, "invalid")
                .requireViolation("/autostart", "persists");

        api.delete(MDEV).requireStatus(204);

        api.get(MDEV).requireProblem(404, "not-found");
        api.get(DEFINITION).requireProblem(404, "not-found");
    }

    @Test
    void aTransientDeviceIsWrittenDownByAskingForItAgain() {
        api.put(MDEV, SPEC).requireStatus(201);
        requireState(false, true, false);
        api.put(MDEV, with("\"persist\":true")).requireStatus(200);
        requireState(true, true, false);
    }

    @Test
    void aDefinitionIsOneThingUnderItsUuid() {
        api.put(DEFINITION, SPEC).requireStatus(201);
        api.put(DEFINITION, SPEC).requireStatus(200);
        assertThat(
                        api.put(DEFINITION, with("\"autostart\":true"))
                                .requireStatus(200)
                                .body()
                                .at("/autostart")
                                .asBoolean())
                .isTrue();
        api.put(DEFINITION, SPEC.replace("16m", "32m")).requireProblem(409, "exists");
        api.put(MDEV, SPEC).requireProblem(409, "wrong-state");
        api.post("/api/v1/mdevs", with("\"uuid\":\"" + ONE + "\"")).requireProblem(409, "exists");
        assertThat(api.namesOf("/api/v1/definitions", "/uuid")).containsExactly(ONE.toString());
    }

    @Test
    void aDefinitionMayComeBeforeItsParentAndSaysSoWhenItIsStarted() {
        api.put(DEFINITION, SPEC.replace("gpu0", "gpu9")).requireStatus(201);
        requireState(true, false, false);
        Answer refused = api.post(MDEV + "/start", "");
        refused.requireProblem(409, "wrong-state");
        assertThat(refused.at("/detail")).contains("parent=gpu9").contains("not there");
        api.delete(MDEV).requireStatus(204);
        api.put(DEFINITION, SPEC.replace("16m", "17m"))
                .requireProblem(422, "invalid")
                .requireViolation("/type", "gpu-sample-17m");
        api.put(DEFINITION, SPEC.replace("gpu0", "no name")).requireProblem(422, "invalid");
    }

    @Test
    void whatCannotBeIsRefusedWithTheReason() {
        api.post(MDEV + "/start", "").requireProblem(404, "not-found");
        api.post(MDEV + "/stop", "").requireProblem(404, "not-found");
        api.delete(DEFINITION).requireProblem(404, "not-found");
        api.put(DEFINITION, SPEC).requireStatus(201);
        Answer unusable = api.get(MDEV + "/faults");
        unusable.requireProblem(409, "wrong-state");
        assertThat(unusable.at("/detail")).contains("INACTIVE");
        api.post(MDEV + "/stop", "").requireProblem(404, "not-found");
        api.post(MDEV + "/start", "").requireStatus(200);
        api.post(MDEV + "/start", "").requireProblem(409, "exists");
        api.post(MDEV + "/adopt", "").requireProblem(403, "denied");
        api.delete("/api/v1/definitions/quarantined/nothing.mdev").requireProblem(404, "not-found");
    }

    @Test
    void whatDoesNotFitStaysDefined() {
        UUID first = api.createMdev("gpu0", "gpu-sample-128m");
        UUID second = api.createMdev("gpu0", "gpu-sample-128m");
        api.put(DEFINITION, SPEC).requireStatus(201);

        api.post(MDEV + "/start", "").requireProblem(409, "no-capacity");

        requireState(true, false, false);
        api.delete("/api/v1/mdevs/" + first).requireStatus(204);
        api.post(MDEV + "/start", "").requireStatus(200);
        api.delete("/api/v1/mdevs/" + second).requireStatus(204);
    }

    @Test
    void eventsTellOfDefinitions() {
        long last = api.get("/api/v1/events").numberAt("/lastId");
        api.put(DEFINITION, SPEC).requireStatus(201);
        api.post(MDEV + "/start", "").requireStatus(200);
        api.delete(MDEV).requireStatus(204);
        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind"))
                .containsExactly("mdev_defined", "mdev_created", "mdev_undefined", "mdev_removed");
    }
}
