package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.UUID;

/// Creating, reading, listing, assigning and removing devices and machines.
class MdevLifeCycleTest extends HostTest {
    private static final String UUID_1 = "a2c1d4de-5a3e-4cf0-8f59-e0e0c5a1b001";
    private static final String SPEC = "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-64m\"}";

    @Test
    void aFreshServiceHasASampleParentWithTypes() {
        Answer parents = api.get("/api/v1/parents").requireStatus(200);
        assertThat(parents.at("/items/0/name")).isEqualTo("gpu0");
        Answer types = api.get("/api/v1/parents/gpu0/types").requireStatus(200);
        assertThat(types.body().at("/items").size()).isEqualTo(5);
        assertThat(types.at("/items/2/id")).isEqualTo("gpu-sample-64m");
        assertThat(types.numberAt("/items/2/availableInstances")).isEqualTo(4);
    }

    @Test
    void availableInstancesFollowWhatIsFree() {
        api.createMdev("gpu0", "gpu-sample-128m");
        String path = "/api/v1/parents/gpu0/types/gpu-sample-64m";
        assertThat(api.get(path).numberAt("/availableInstances")).isEqualTo(2);
        UUID second = api.createMdev("gpu0", "gpu-sample-128m");
        Answer none = api.get(path);
        assertThat(none.numberAt("/availableInstances")).isZero();
        assertThat(none.at("/refusal")).contains("pool=vram needs 16384 pages");
        api.delete("/api/v1/mdevs/" + second).requireStatus(204);
        assertThat(api.get(path).numberAt("/availableInstances")).isEqualTo(2);
    }

    @Test
    void theClientMayChooseTheUuidAndRepeatItself() {
        Answer made = api.put("/api/v1/mdevs/" + UUID_1, SPEC).requireStatus(201);
        assertThat(made.at("/uuid")).isEqualTo(UUID_1);
        assertThat(made.header("Location")).isEqualTo("/api/v1/mdevs/" + UUID_1);

        api.put("/api/v1/mdevs/" + UUID_1, SPEC).requireStatus(200);
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).containsExactly(UUID_1);

        String other = SPEC.replace("64m", "32m");
        api.put("/api/v1/mdevs/" + UUID_1, other).requireProblem(409, "exists");
        api.post("/api/v1/mdevs", SPEC.replace("{", "{\"uuid\":\"" + UUID_1 + "\","))
                .requireProblem(409, "exists");
    }

    @Test
    void theUuidOfTheBodyMustBeThatOfThePath() {
        Answer answer =
                api.put(
                        "/api/v1/mdevs/" + UUID_1,
                        SPEC.replace("{", "{\"uuid\":\"" + UUID.randomUUID() + "\","));
        answer.requireProblem(422, "invalid").requireViolation("/uuid", "not the UUID");
    }

    @Test
    void theServiceMakesUpAUuidIfThereIsNone() {
        Answer made = api.post("/api/v1/mdevs", SPEC).requireStatus(201);
        Answer read = api.get(made.header("Location")).requireStatus(200);
        assertThat(read.at("/uuid")).isEqualTo(made.at("/uuid"));
        assertThat(read.body().at("/machine").isMissingNode()).isTrue();
    }

    @Test
    void theListCanBeRestrictedToAParent() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMdev("hostile", "honest");
        assertThat(api.namesOf("/api/v1/mdevs?parent=gpu0", "/uuid"))
                .containsExactly(mdev.toString());
        assertThat(api.namesOf("/api/v1/mdevs?parent=nope", "/uuid")).isEmpty();
    }

    @Test
    void anAssignedDeviceIsNotRemovedAndItsHolderIsNamed() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("holder", mdev);
        assertThat(api.get("/api/v1/mdevs/" + mdev).at("/machine")).isEqualTo("holder");

        Answer refused = api.delete("/api/v1/mdevs/" + mdev);
        refused.requireProblem(409, "busy");
        assertThat(refused.at("/detail")).contains("assigned to holder");

        api.createMachine("other");
        api.put("/api/v1/machines/other/devices/" + mdev, "").requireProblem(409, "busy");

        api.delete("/api/v1/machines/holder/devices/" + mdev).requireStatus(204);
        api.put("/api/v1/machines/other/devices/" + mdev, "").requireStatus(201);
        api.put("/api/v1/machines/other/devices/" + mdev, "").requireStatus(200);
    }

    @Test
    void detachingTakesTheBarAway() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        String gpa = api.get("/api/v1/machines/vm1").at("/devices/0/bars/0/gpa");
        String program = "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":\"%s\"}}]}".formatted(gpa);
        assertThat(api.run("vm1", program).at("/steps/0/values/0")).isEqualTo("0x0");
        assertThat(api.get("/api/v1/mdevs/" + mdev).numberAt("/residentPages")).isEqualTo(1);

        api.delete("/api/v1/machines/vm1/devices/" + mdev).requireStatus(204);

        Answer gone = api.run("vm1", program).requireStatus(200);
        assertThat(gone.at("/steps/0/values/0")).isEqualTo("0xffffffffffffffff");
        assertThat(gone.numberAt("/steps/0/unassigned")).isEqualTo(1);
        assertThat(api.get("/api/v1/mdevs/" + mdev).numberAt("/residentPages")).isZero();
        api.delete("/api/v1/machines/vm1/devices/" + mdev).requireProblem(404, "not-found");
    }

    @Test
    void machinesAndTheirMemoryAreBounded() {
        for (int i = 0; i < 4; i++) {
            api.createMachine("vm" + i);
        }
        Answer many = api.post("/api/v1/machines", "{\"name\":\"vm4\"}");
        many.requireProblem(409, "no-capacity");
        assertThat(many.at("/detail")).contains("4 machines");

        api.delete("/api/v1/machines/vm0").requireStatus(204);
        Answer large = api.post("/api/v1/machines", "{\"name\":\"vm4\",\"ramMib\":62}");
        large.requireProblem(409, "no-capacity");
        assertThat(large.at("/detail")).contains("are free for machines");
        api.post("/api/v1/machines", "{\"name\":\"vm4\",\"ramMib\":61}").requireStatus(201);
        api.post("/api/v1/machines", "{\"name\":\"vm4\"}").requireProblem(409, "exists");
    }

    @Test
    void deletingAMachineGivesItsDevicesBack() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.delete("/api/v1/machines/vm1").requireStatus(204);
        api.get("/api/v1/machines/vm1").requireProblem(404, "not-found");
        assertThat(api.get("/api/v1/mdevs/" + mdev).body().at("/machine").isMissingNode()).isTrue();
        api.delete("/api/v1/mdevs/" + mdev).requireStatus(204);
        api.delete("/api/v1/mdevs/" + mdev).requireProblem(404, "not-found");
    }

    @Test
    void eventsTellWhatHappenedInOrder() {
        long last = api.get("/api/v1/events").numberAt("/lastId");
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.post("/api/v1/mdevs/%s/revoke".formatted(mdev), "").requireStatus(200);
        api.post("/api/v1/mdevs/%s/reset".formatted(mdev), "").requireStatus(204);
        api.delete("/api/v1/machines/vm1/devices/" + mdev).requireStatus(204);
        api.delete("/api/v1/machines/vm1").requireStatus(204);
        api.delete("/api/v1/mdevs/" + mdev).requireStatus(204);

        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind"))
                .containsExactly(
                        "mdev_created",
                        "machine_created",
                        "mdev_attached",
                        "mdev_revoked",
                        "mdev_reset",
                        "mdev_detached",
                        "machine_deleted",
                        "mdev_removed");
        Answer page = api.get("/api/v1/events?limit=2&after=" + last);
        assertThat(page.numberAt("/items/1/id")).isEqualTo(last + 2);
        assertThat(page.body().at("/gap").asBoolean()).isFalse();
        api.get("/api/v1/events?limit=0").requireProblem(422, "invalid");
    }
}
