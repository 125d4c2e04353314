package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/// Requests that are repeated with the same `Idempotency-Key`.
class IdempotencyTest extends HostTest {
    private static final String MDEVS = "/api/v1/mdevs";
    private static final String DEVICE = "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}";

    private final String key = UUID.randomUUID().toString();

    private Answer send(String method, String path, String body, String withKey) {
        Map<String, String> headers = new HashMap<>(Map.of("Idempotency-Key", withKey));
        if (!body.isEmpty()) {
            headers.put("Content-Type", Api.JSON);
        }
        return api.send(method, path, body, headers);
    }

    private Answer post(String path, String body) {
        return send("POST", path, body, key);
    }

    @Test
    void aRepeatedPostIsDoneOnceAndAnsweredTwice() {
        Answer first = post(MDEVS, DEVICE).requireStatus(201);

        Answer again = post(MDEVS, DEVICE).requireStatus(201);

        assertThat(again.text()).isEqualTo(first.text()).isNotEmpty();
        assertThat(again.header("Location")).isEqualTo(first.header("Location")).isNotEmpty();
        assertThat(again.header("Content-Type")).isEqualTo(first.header("Content-Type"));
        assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        assertThat(first.header("Idempotency-Replayed")).isEmpty();
        assertThat(again.header("X-Request-Id")).isNotEqualTo(first.header("X-Request-Id"));
        assertThat(api.namesOf(MDEVS, "/uuid")).hasSize(1);
        send("POST", MDEVS, DEVICE, key + "x").requireStatus(201);
        assertThat(api.namesOf(MDEVS, "/uuid")).hasSize(2);
    }

    @Test
    void anAnswerWithoutABodyIsRepeatedToo() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        String path = MDEVS + "/" + mdev + "/reset";
        post(path, "").requireStatus(204);
        long last = api.get("/api/v1/events").numberAt("/lastId");

        Answer again = post(path, "").requireStatus(204);

        assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        assertThat(api.get("/api/v1/events").numberAt("/lastId")).isEqualTo(last);
    }

    @Test
    void aKeyOfAnotherRequestIsRefusedAndNothingHappens() {
        post(MDEVS, DEVICE).requireStatus(201);

        post(MDEVS, DEVICE.replace("16m", "32m")).requireProblem(422, "invalid");
        post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":1,\"vcpus\":1}")
                .requireProblem(422, "invalid");
        assertThat(api.namesOf(MDEVS, "/uuid")).hasSize(1);
        assertThat(api.namesOf("/api/v1/machines", "/name")).isEmpty();
    }

    @Test
    void whatWasRefusedIsTriedAgain() {
        UUID first = api.createMdev("gpu0", "gpu-sample-128m");
        api.createMdev("gpu0", "gpu-sample-128m");
        post(MDEVS, DEVICE).requireProblem(409, "no-capacity");
        api.delete(MDEVS + "/" + first).requireStatus(204);

        Answer now = post(MDEVS, DEVICE).requireStatus(201);

        assertThat(now.header("Idempotency-Replayed")).isEmpty();
    }

    @Test
    void ofManyAtOnceOneDoesTheWork() {
        List<CompletableFuture<Answer>> all =
                IntStream.range(0, 8)
                        .mapToObj(_ -> CompletableFuture.supplyAsync(() -> post(MDEVS, DEVICE)))
                        .toList();
        Set<String> made = new HashSet<>();
        for (CompletableFuture<Answer> one : all) {
            Answer answer = one.join();
            if (answer.status() == 503) {
                answer.requireProblem(503, "unavailable");
            } else {
                made.add(answer.requireStatus(201).at("/uuid"));
            }
        }
        assertThat(made).hasSize(1);
        assertThat(api.namesOf(MDEVS, "/uuid")).containsExactlyElementsOf(made);
    }

    @Test
    void aLongAnswerIsNotKeptAndTheWorkIsNotDoneAgain() {
        api.createMachine("vm1");
        String read = "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":0},\"count\":4000}]}";
        String path = "/api/v1/machines/vm1/vcpus/0/programs";
        assertThat(post(path, read).requireStatus(200).text().length()).isGreaterThan(16 << 10);

        Answer again = post(path, read);

        again.requireProblem(409, "wrong-state");
        assertThat(again.at("/detail")).contains("status 200");
    }

    @Test
    void aDriverThatFailedIsNotAskedAgain() {
        String body = "{\"parent\":\"hostile\",\"type\":\"throws-at-create\"}";
        Answer failed = post(MDEVS, body);
        failed.requireProblem(502, "driver-failed");

        Answer again = post(MDEVS, body).requireStatus(502);

        assertThat(again.text()).isEqualTo(failed.text());
    }

    @ParameterizedTest
    @ValueSource(strings = {"two words", ""})
    void aKeyThatIsNoneIsRefused(String bad) {
        Answer refused = send("POST", MDEVS, DEVICE, bad);
        refused.requireProblem(400, "malformed");
        assertThat(api.namesOf(MDEVS, "/uuid")).isEmpty();
    }

    @Test
    void aKeyThatIsTooLongIsRefused() {
        send("POST", MDEVS, DEVICE, "k".repeat(129)).requireProblem(400, "malformed");
        send("POST", MDEVS, DEVICE, "k".repeat(128)).requireStatus(201);
    }

    @Test
    void whatNeedsNoKeyOrHasSecretsTakesNone() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        send("DELETE", MDEVS + "/" + mdev, "", key).requireProblem(400, "malformed");
        send("PUT", MDEVS + "/" + mdev, DEVICE, key).requireProblem(400, "malformed");
        post("/api/v1/tokens", "{\"name\":\"a\",\"role\":\"viewer\"}")
                .requireProblem(400, "malformed");
        assertThat(api.namesOf("/api/v1/tokens", "/id")).isEmpty();
        send("GET", MDEVS + "/" + mdev, "", key).requireStatus(200);
    }

    @Test
    void aBodyThatIsTooLargeIsRefusedAndFreesTheKey() {
        post(MDEVS, " ".repeat(2 << 20)).requireProblem(413, "content-too-large");
        post(MDEVS, DEVICE).requireStatus(201);
    }
}
