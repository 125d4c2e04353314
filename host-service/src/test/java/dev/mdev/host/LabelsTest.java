package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// Labels, display names, merge patches, and changes on a condition.
class LabelsTest extends HostTest {
    private String mdev(String more) {
        return api.post(
                        "/api/v1/mdevs",
                        "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"%s}".formatted(more))
                .requireStatus(201)
                .at("/uuid");
    }

    @Test
    void aPatchChangesWhatItNamesAndNullRemoves() {
        String path =
                "/api/v1/mdevs/"
                        + mdev(",\"displayName\":\"one\",\"labels\":{\"env\":\"dev\",\"a\":\"1\"}");
        Answer patched =
                api.patch(
                                path,
                                "{\"description\":\"ünicode\",\"labels\":{\"env\":\"prod\",\"a\":null,\"b\":\"\"}}")
                        .requireStatus(200);
        assertThat(patched.at("/displayName")).isEqualTo("one");
        assertThat(patched.body().at("/labels").toString())
                .isEqualTo("{\"b\":\"\",\"env\":\"prod\"}");
        assertThat(api.get(path).at("/description")).isEqualTo("ünicode");

        Answer cleared = api.patch(path, "{\"displayName\":null,\"labels\":null}");
        assertThat(cleared.requireStatus(200).body().at("/labels").isEmpty()).isTrue();
        assertThat(cleared.body().has("displayName")).isFalse();
        assertThat(cleared.at("/description")).isEqualTo("ünicode");
    }

    @Test
    void devicesDefinitionsAndMachinesAreSelectedByLabels() {
        String prod = mdev(",\"labels\":{\"env\":\"prod\",\"tier\":\"1\"}");
        String dev = mdev(",\"labels\":{\"env\":\"dev\"}");
        String none = mdev("");
        String defined = UUID.randomUUID().toString();
        api.put(
                        "/api/v1/definitions/" + defined,
                        "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\",\"labels\":{\"env\":\"prod\"}}")
                .requireStatus(201);
        api.post("/api/v1/machines", "{\"name\":\"vm1\",\"labels\":{\"env\":\"prod\"}}")
                .requireStatus(201);
        api.createMachine("vm2");

        assertThat(found("mdevs?label=env=prod")).containsExactlyInAnyOrder(prod, defined);
        assertThat(found("mdevs?label=env=prod,tier")).containsExactly(prod);
        assertThat(found("mdevs?label=env=prod&label=tier")).containsExactly(prod);
        assertThat(found("mdevs?label=env!=prod")).containsExactlyInAnyOrder(dev, none);
        assertThat(found("mdevs?label=!env")).containsExactly(none);
        assertThat(found("definitions?label=env=prod")).containsExactly(defined);
        assertThat(api.namesOf("/api/v1/machines?label=env=prod", "/name")).containsExactly("vm1");
        assertThat(api.get("/api/v1/definitions/" + defined).at("/labels/env")).isEqualTo("prod");
    }

    private List<String> found(String list) {
        return api.namesOf("/api/v1/" + list, "/uuid");
    }

    @Test
    void aNewDeviceHasNoLabelsOfAnOlderOne() {
        String uuid = mdev(",\"labels\":{\"env\":\"prod\"}");
        api.delete("/api/v1/mdevs/" + uuid).requireStatus(204);

        assertThat(mdev(",\"uuid\":\"%s\"".formatted(uuid))).isEqualTo(uuid);
        assertThat(api.get("/api/v1/mdevs/" + uuid).body().at("/labels").isEmpty()).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "[]                                   | 400",
                "{\"uuid\":\"x\"}                     | 400",
                "{\"labels\":[]}                      | 400",
                "{\"labels\":{\"a\":1}}               | 400",
                "{\"displayName\":{}}                 | 400",
                "{\"displayName\":\"a\\nb\"}          | 422",
                "{\"labels\":{\"\":\"x\"}}            | 422",
                "{\"labels\":{\"-a\":\"x\"}}          | 422",
                "{\"labels\":{\"a\":\"x y\"}}         | 422",
            })
    void aPatchThatCannotBeIsRefused(String patch, int status) {
        String path = "/api/v1/mdevs/" + mdev("");
        String before = api.get(path).text();

        api.patch(path, patch).requireProblem(status, status == 400 ? "malformed" : "invalid");
        assertThat(api.get(path).text()).isEqualTo(before);
    }

    @ParameterizedTest
    @ValueSource(strings = {"=x", "a=b=c", "a b", "!", "!a=b", "a!b"})
    void aSelectorThatCannotBeReadIsRefused(String selector) {
        api.get("/api/v1/mdevs?label=" + selector.replace(" ", "%20"))
                .requireProblem(400, "malformed");
    }

    private Answer changed(String method, String path, String tag, String body) {
        return api.send(method, path, body, Map.of("If-Match", tag, "Content-Type", Api.JSON));
    }

    @Test
    void aChangeOfWhatHasChangedIsRefused() {
        String mdev = mdev("");
        api.createMachine("vm1");
        for (String path : List.of("/api/v1/mdevs/" + mdev, "/api/v1/machines/vm1")) {
            String tag = api.get(path).requireStatus(200).header("ETag");
            assertThat(tag).matches("\"[0-9a-f]{16}\"");
            assertThat(api.get(path).header("ETag")).isEqualTo(tag);
            Answer changed = changed("PATCH", path, tag, "{\"labels\":{\"a\":\"1\"}}");
            assertThat(changed.requireStatus(200).header("ETag")).isNotEqualTo(tag);

            changed("DELETE", path, tag, "").requireProblem(412, "changed");
            changed("PATCH", path, tag, "{\"labels\":{\"a\":\"2\"}}")
                    .requireProblem(412, "changed");
            assertThat(api.get(path).at("/labels/a")).isEqualTo("1");
        }
        String machine = api.get("/api/v1/machines/vm1").header("ETag");
        String attach = "/api/v1/machines/vm1/devices/" + mdev;
        changed("PUT", attach, machine, "").requireStatus(201);
        changed("DELETE", attach, machine, "").requireProblem(412, "changed");
        changed("POST", "/api/v1/mdevs/%s/reset".formatted(mdev), "*", "").requireStatus(204);
        changed("POST", "/api/v1/mdevs", "*", "{}").requireProblem(400, "malformed");
    }

    @Test
    void ofTwoChangesOfTheSameStateOneIsRefused() throws InterruptedException, ExecutionException {
        String path = "/api/v1/mdevs/" + mdev("");
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int round = 0; round < 20; round++) {
                String tag = api.get(path).header("ETag");
                List<Future<Answer>> answers = new ArrayList<>();
                for (int i = 0; i < 4; i++) {
                    String patch = "{\"labels\":{\"a\":\"%d-%d\"}}".formatted(round, i);
                    answers.add(threads.submit(() -> changed("PATCH", path, tag, patch)));
                }
                List<Integer> statuses = new ArrayList<>();
                for (Future<Answer> answer : answers) {
                    statuses.add(answer.get().status());
                }
                assertThat(statuses).containsOnlyOnce(200).containsAnyOf(412, 503);
            }
        }
    }
}
