package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.net.http.HttpResponse;
import java.util.Arrays;
import java.util.UUID;

/// Machines that are saved and restored, over REST.
class MachineStateTest extends HostTest {
    private static final String MACHINES = "/api/v1/machines/";

    private UUID makeMachine() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        run("vm1", "write", "\"gpa\":\"0x5000\"", 7);
        run("vm1", "write", at(mdev), 9);
        return mdev;
    }

    private static String at(UUID mdev) {
        return "\"mdev\":\"%s\",\"bar\":0,\"offset\":\"0x3000\"".formatted(mdev);
    }

    private Answer run(String machine, String op, String place, int value) {
        Answer result =
                api.post(
                        MACHINES + machine + "/vcpus/0/programs",
                        "{\"steps\":[{\"op\":\"%s\",\"at\":{%s},\"value\":%d}]}"
                                .formatted(op, place, value));
        assertThat(result.at("/end")).isEqualTo("completed");
        assertThat(op.equals("check") ? result.numberAt("/steps/0/mismatches") : 0).isZero();
        return result;
    }

    private byte[] saved() {
        HttpResponse<byte[]> answer = api.bytes(MACHINES + "vm1/state");
        assertThat(answer.statusCode()).isEqualTo(200);
        return answer.body();
    }

    @Test
    void aSavedMachineIsRestoredBesideItAndInItsPlace() {
        UUID mdev = makeMachine();
        byte[] state = saved();
        assertThat(state.length).as("pages of zeroes take no room").isLessThan(1 << 20);

        Answer copy = api.putBytes(MACHINES + "vm2/state?newUuids=true", state).requireStatus(201);
        UUID other = UUID.fromString(copy.at("/machine/devices/0/mdev"));
        assertThat(other).isNotEqualTo(mdev);
        assertThat(copy.at("/programs/0/running")).isEqualTo("false");
        assertThat(copy.numberAt("/saved/stopMicros")).isPositive();
        run("vm2", "check", "\"gpa\":\"0x5000\"", 7);
        run("vm2", "check", at(other), 9);
        run("vm1", "check", at(mdev), 9);

        api.delete(MACHINES + "vm1").requireStatus(204);
        api.delete("/api/v1/mdevs/" + mdev).requireStatus(204);
        Answer again = api.putBytes(MACHINES + "vm1/state", state).requireStatus(201);
        assertThat(again.at("/machine/devices/0/mdev")).isEqualTo(mdev.toString());
        run("vm1", "check", at(mdev), 9);
        assertThat(api.namesOf("/api/v1/events?after=0&limit=1000", "/kind"))
                .contains("machine_saved", "machine_restored");
        assertThat(api.get("/actuator/prometheus").text())
                .contains("mdevhost_machine_save_stop_seconds_count ");
    }

    @Test
    void whatCannotBeRestoredIsAProblemAndLeavesNothing() {
        UUID mdev = makeMachine();
        byte[] state = saved();
        assertThat(put("vm1", state)).as("the name is in use").isEqualTo(409);
        assertThat(put("vm2", state)).as("the device exists").isEqualTo(409);
        byte[] cut = Arrays.copyOf(state, state.length / 2);
        assertThat(put("vm2", cut)).as("truncated").isEqualTo(400);
        assertThat(put("vm2", new byte[100])).as("foreign").isEqualTo(400);
        assertThat(put("vm2", new byte[0])).as("empty").isEqualTo(400);
        assertThat(api.putBytes(MACHINES + "vm2/state?parent=none", state).status())
                .as("no such parent")
                .isEqualTo(422);
        byte[] changed = state.clone();
        changed[state.length / 2] ^= 1;
        assertThat(put("vm2", changed)).as("changed").isEqualTo(400);

        assertThat(api.get(MACHINES + "vm2").status()).isEqualTo(404);
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).containsExactly(mdev.toString());
        run("vm1", "check", at(mdev), 9);
        assertThat(api.get(MACHINES + "none/state").status()).isEqualTo(404);
    }

    private int put(String machine, byte[] state) {
        return api.putBytes(MACHINES + machine + "/state", state).status();
    }

    @Test
    void whileTheDirtyLogIsOnASaveIsRefused() {
        makeMachine();
        api.put(MACHINES + "vm1/dirty-log", "{\"mode\":\"bitmap\"}").requireStatus(200);
        assertThat(api.get(MACHINES + "vm1/state").status()).isEqualTo(409);
        assertThat(api.get(MACHINES + "vm1/dirty-log").at("/mode")).isEqualTo("bitmap");
    }
}
