package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.devicestate.StateHeader;
import dev.mdev.core.devicestate.StateWriter;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/// A device's state as a stream: saved from one machine's device, restored into another's.
class StateTest extends HostTest {
    private static final int PAGES = 700;
    private static final String STORE =
            "{\"steps\":[{\"op\":\"write\",\"at\":{\"mdev\":\"%s\",\"bar\":0,\"offset\":4096},"
                    + "\"count\":%d,\"stride\":4096,\"value\":\"0xabc000\",\"step\":1}],"
                    + "\"deadlineMillis\":600000}";

    private static String state(UUID mdev) {
        return "/api/v1/mdevs/%s/state".formatted(mdev);
    }

    private void store(String machine, UUID mdev) {
        assertThat(api.run(machine, STORE.formatted(mdev, PAGES)).at("/end"))
                .isEqualTo("completed");
    }

    private void requireStored(String machine, UUID mdev) {
        Answer checked =
                api.run(machine, STORE.formatted(mdev, PAGES).replace("\"write\"", "\"check\""));
        assertThat(checked.at("/end")).isEqualTo("completed");
        assertThat(checked.numberAt("/steps/0/mismatches")).isZero();
    }

    private byte[] save(UUID mdev) {
        HttpResponse<byte[]> saved = api.bytes(state(mdev));
        assertThat(saved.statusCode()).isEqualTo(200);
        assertThat(saved.headers().firstValue("Content-Type")).hasValue("application/octet-stream");
        return saved.body();
    }

    @Test
    void aDeviceGoesFromOneMachineToAnotherWithWhatItsGuestStored() {
        UUID from = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("old", from);
        store("old", from);
        long last = api.get("/api/v1/events").numberAt("/lastId");

        byte[] state = save(from);

        assertThat(state.length)
                .as("only pages that are not zero are stored")
                .isBetween(PAGES * 4096, (PAGES + 8) * 4096);
        assertThat(api.get("/api/v1/mdevs/" + from).numberAt("/residentPages")).isZero();
        requireStored("old", from);
        UUID to = api.createMdev("gpu0", "gpu-sample-16m");
        api.putBytes(state(to), state).requireStatus(204);
        api.createMachine("new", to);
        requireStored("new", to);
        UUID held = api.createMdev("gpu0", "gpu-sample-16m");
        api.put("/api/v1/machines/new/devices/" + held, "").requireStatus(201);
        api.putBytes(state(held), state).requireStatus(204);
        requireStored("new", held);
        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind"))
                .contains("state_saved", "state_restored");
    }

    @Test
    void whatIsRestoredIntoAnIdleDeviceIsThereWhenAMachineGetsIt() {
        UUID from = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("old", from);
        store("old", from);
        byte[] state = save(from);
        api.delete("/api/v1/machines/old").requireStatus(204);
        api.delete("/api/v1/mdevs/" + from).requireStatus(204);
        UUID first = api.createMdev("gpu0", "gpu-sample-64m");
        UUID idle = api.createMdev("gpu0", "gpu-sample-16m");
        api.putBytes(state(idle), state).requireStatus(204);
        assertThat(save(idle)).as("it can be saved while it waits for a guest").isNotEmpty();
        api.delete("/api/v1/mdevs/" + first).requireStatus(204);

        api.createMachine("new", idle);

        requireStored("new", idle);
    }

    @Test
    void whileItsMachineExecutesAProgramADeviceIsNotSaved() throws Exception {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        CompletableFuture<Answer> endless =
                CompletableFuture.supplyAsync(() ->
                        api.run(
                                "vm1",
                                STORE.formatted(mdev, 1L << 31)
                                        .replace("\"stride\":4096", "\"stride\":0")));
        while (!api.get("/api/v1/machines/vm1").body().at("/vcpus/0/busy").asBoolean()) {
            assertThat(endless).isNotDone();
        }

        Answer refused = api.get(state(mdev));

        refused.requireProblem(409, "busy");
        assertThat(refused.at("/detail")).contains("vm1");
        api.post("/api/v1/machines/vm1/vcpus/0/interrupt", "").requireStatus(204);
        assertThat(endless.get().at("/end")).isEqualTo("interrupted");
        assertThat(save(mdev)).isNotEmpty();
    }

    @Test
    void aStreamThatIsNotTheDevicesOrNotWholeIsRefusedAndADeviceThatGotAPartIsReset() {
        UUID from = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", from);
        store("vm1", from);
        byte[] state = save(from);
        UUID other = api.createMdev("gpu0", "gpu-sample-32m");
        Answer wrong = api.putBytes(state(other), state);
        wrong.requireProblem(422, "invalid");
        assertThat(wrong.at("/detail")).contains("gpu-sample-16m").contains("gpu-sample-32m");
        byte[] changed = state.clone();
        changed[changed.length / 2] ^= 1;

        api.putBytes(state(from), changed).requireProblem(400, "malformed");

        String read =
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"mdev\":\"%s\",\"bar\":0,\"offset\":4096}}]}"
                        .formatted(from);
        assertThat(api.run("vm1", read).at("/steps/0/values/0"))
                .as("after a part of a state, it is as new")
                .isEqualTo("0x0");
        api.putBytes(state(from), Arrays.copyOf(state, state.length - 1))
                .requireProblem(400, "malformed");
        api.putBytes(state(from), new byte[] {1, 2, 3}).requireProblem(400, "malformed");
        api.putBytes(state(from), state).requireStatus(204);
        requireStored("vm1", from);
    }

    @Test
    void whatTheDriverDoesNotTakeBackIsItsFailureAndTheDeviceIsReset() {
        UUID mdev = api.createMdev("hostile", "refuses-state");
        byte[] state = save(mdev);
        long last = api.get("/api/v1/events").numberAt("/lastId");

        Answer refused = api.putBytes(state(mdev), state);

        refused.requireProblem(502, "driver-failed");
        assertThat(refused.at("/detail")).contains("register 3 cannot be 7");
        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind")).contains("restore_failed");
    }

    @Test
    void moreThanADriverMaySaveIsRefusedAndTheDeviceIsReset() throws IOException {
        UUID mdev = api.createMdev("hostile", "refuses-state");
        ByteArrayOutputStream state = new ByteArrayOutputStream();
        StateWriter writer = new StateWriter(state);
        writer.header(
                new StateHeader(
                        mdev,
                        "hostile",
                        "refuses-state",
                        1,
                        List.of(new StateHeader.Pool("pages", 16))));
        for (int i = 0; i < 17; i++) {
            writer.driver(new byte[1 << 20]);
        }
        writer.end();
        long last = api.get("/api/v1/events").numberAt("/lastId");

        Answer refused = api.putBytes(state(mdev), state.toByteArray());

        refused.requireProblem(422, "invalid");
        assertThat(refused.at("/errno")).isEqualTo("EFBIG");
        assertThat(refused.at("/detail")).contains("more than 16777216 bytes");
        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind")).contains("restore_failed");
    }

    @Test
    void aStateIsBytesAndSaysSoOrNothing() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        byte[] state = save(mdev);
        for (String type : List.of("text/plain", "application/json", "multipart/form-data")) {
            api.send("PUT", state(mdev), "x", Map.of("Content-Type", type))
                    .requireProblem(415, "unsupported-media-type");
        }
        HttpRequest untyped =
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port() + state(mdev)))
                        .PUT(HttpRequest.BodyPublishers.ofByteArray(state))
                        .build();
        api.send(untyped).requireStatus(204);
        api.send("GET", state(mdev), "", Map.of("Accept", "application/json"))
                .requireProblem(406, "not-acceptable");
    }

    @Test
    void whatCannotBeSavedIsRefusedWithTheReason() {
        UUID mdev = api.createMdev("hostile", "honest");
        api.get(state(mdev)).requireProblem(501, "not-supported");
        api.putBytes(state(mdev), new byte[10]).requireProblem(501, "not-supported");
        api.get(state(UUID.randomUUID())).requireProblem(404, "not-found");
        api.put(state(mdev), "{}").requireProblem(415, "unsupported-media-type");
    }
}
