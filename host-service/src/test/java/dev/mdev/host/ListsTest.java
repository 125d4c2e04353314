package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import tools.jackson.databind.JsonNode;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.zip.GZIPInputStream;

/// Lists in parts, filters, and parameters that no call takes.
class ListsTest extends HostTest {
    /// The names of a whole list, read in parts.
    private List<String> inParts(String path, int limit, String pointer) {
        List<String> names = new ArrayList<>();
        String after = "";
        do {
            Answer part =
                    api.get(path + "?limit=" + limit + (after.isEmpty() ? "" : "&after=" + after))
                            .requireStatus(200);
            JsonNode items = part.body().at("/items");
            assertThat(items.size()).isLessThanOrEqualTo(limit);
            items.forEach(item -> names.add(item.at(pointer).asString()));
            after = part.at("/next");
        } while (!after.isEmpty());
        return names;
    }

    @Test
    void partsOfAListHaveEachItemOnce() {
        for (int i = 0; i < 5; i++) {
            api.createMdev("gpu0", "gpu-sample-16m");
        }
        for (String name : List.of("vm3", "vm1", "vm2")) {
            api.createMachine(name);
        }

        for (int limit : List.of(1, 2, 5, 6)) {
            assertThat(inParts("/api/v1/mdevs", limit, "/uuid"))
                    .hasSize(5)
                    .isSorted()
                    .doesNotHaveDuplicates();
            assertThat(inParts("/api/v1/machines", limit, "/name"))
                    .containsExactly("vm1", "vm2", "vm3");
            assertThat(inParts("/api/v1/parents/gpu0/types", limit, "/id"))
                    .isEqualTo(api.namesOf("/api/v1/parents/gpu0/types", "/id"));
            assertThat(inParts("/api/v1/parents", limit, "/name"))
                    .isEqualTo(api.namesOf("/api/v1/parents", "/name"));
        }
    }

    @Test
    void aPartGoesOnAfterAnItemThatIsGone() {
        for (String name : List.of("vm1", "vm2", "vm3")) {
            api.createMachine(name);
        }
        Answer first = api.get("/api/v1/machines?limit=2").requireStatus(200);
        api.delete("/api/v1/machines/vm2").requireStatus(204);

        assertThat(api.namesOf("/api/v1/machines?after=" + first.at("/next"), "/name"))
                .containsExactly("vm3");
    }

    @Test
    void filtersLeaveOutWhatIsNotAskedFor() {
        UUID idle = api.createMdev("gpu0", "gpu-sample-16m");
        UUID large = api.createMdev("gpu0", "gpu-sample-32m");
        api.createMachine("vm1", large);
        api.post("/api/v1/machines", "{\"name\":\"ext1\",\"kind\":\"external\"}")
                .requireStatus(201);
        UUID defined = UUID.randomUUID();
        api.put(
                        "/api/v1/definitions/" + defined,
                        "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\",\"autostart\":true}")
                .requireStatus(201);

        assertThat(mdevs("type=gpu-sample-32m")).containsExactly(large);
        assertThat(mdevs("machine=vm1")).containsExactly(large);
        assertThat(mdevs("activity=inactive")).containsExactly(defined);
        assertThat(mdevs("defined=false&type=gpu-sample-16m")).containsExactly(idle);
        assertThat(mdevs("owner=foreign")).isEmpty();
        assertThat(mdevs("parent=gpu0")).hasSize(3);
        assertThat(api.namesOf("/api/v1/machines?kind=external", "/name")).containsExactly("ext1");
        assertThat(api.namesOf("/api/v1/machines?kind=guest", "/name")).containsExactly("vm1");
        assertThat(api.namesOf("/api/v1/definitions?autostart=true", "/uuid"))
                .containsExactly(defined.toString());
        assertThat(api.namesOf("/api/v1/definitions?autostart=false", "/uuid")).isEmpty();
        assertThat(api.namesOf("/api/v1/parents?driver=nope", "/name")).isEmpty();
        assertThat(api.namesOf("/api/v1/parents?presence=present", "/name")).contains("gpu0");
        assertThat(api.namesOf("/api/v1/parents/gpu0/types?available=true", "/id"))
                .contains("gpu-sample-16m");
    }

    private List<UUID> mdevs(String query) {
        return api.namesOf("/api/v1/mdevs?" + query, "/uuid").stream()
                .map(UUID::fromString)
                .toList();
    }

    @ParameterizedTest
    @CsvSource({
        "/api/v1/mdevs?limit=0,                    422",
        "/api/v1/mdevs?limit=1001,                 422",
        "/api/v1/mdevs?limit=x,                    400",
        "/api/v1/mdevs?limit=1&limit=2,            400",
        "/api/v1/mdevs?activity=nope,              400",
        "/api/v1/mdevs?defined=perhaps,            400",
        "/api/v1/parents/gpu0/types?after=nope,    400",
        "/api/v1/audit?phase=nope,                 400",
    })
    void aPartThatCannotBeIsRefused(String path, int status) {
        api.get(path).requireProblem(status, status == 400 ? "malformed" : "invalid");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "GET /api/v1?x=1",
                "GET /api/v1/mdevs?limits=1",
                "GET /api/v1/mdevs?Parent=gpu0",
                "GET /api/v1/doctor?verbose",
                "GET /api/v1/events?since=1",
                "POST /api/v1/mdevs?dryrun=true",
                "DELETE /api/v1/mdevs/00000000-0000-4000-8000-000000000000?garce=1s",
                "DELETE /api/v1/machines/vm1?force=true",
            })
    void aParameterThatNobodyTakesIsRefused(String request) {
        String[] words = request.split(" ", 2);
        Answer refused =
                api.send(
                        words[0],
                        words[1],
                        words[0].equals("POST") ? "{}" : "",
                        Map.of("Content-Type", Api.JSON));

        refused.requireProblem(400, "malformed");
        assertThat(refused.at("/detail")).contains("there is no parameter");
    }

    @Test
    void aClientBeginsAtTheRoot() {
        Answer root = api.get("/api/v1").requireStatus(200);

        for (JsonNode link : root.body().at("/links")) {
            api.get(link.asString()).requireStatus(200);
        }
        assertThat(root.body().at("/links").propertyNames())
                .contains("parents", "mdevs", "definitions", "machines", "events", "doctor");
    }

    @Test
    void aLongAnswerIsCompressedForAClientThatAsksForIt() throws IOException, InterruptedException {
        String path = "/api/v1/parents";
        try (HttpClient http = HttpClient.newHttpClient()) {
            HttpResponse<byte[]> answer =
                    http.send(
                            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port() + path))
                                    .header("Accept-Encoding", "gzip")
                                    .build(),
                            HttpResponse.BodyHandlers.ofByteArray());
            assertThat(answer.headers().firstValue("Content-Encoding")).contains("gzip");
            GZIPInputStream body = new GZIPInputStream(new ByteArrayInputStream(answer.body()));
            assertThat(new String(body.readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo(api.get(path).text());
            HttpResponse<byte[]> state =
                    http.send(
                            HttpRequest.newBuilder(
                                            URI.create(
                                                    "http://127.0.0.1:%d/api/v1/mdevs/%s/state"
                                                            .formatted(
                                                                    port(),
                                                                    api.createMdev(
                                                                            "gpu0",
                                                                            "gpu-sample-16m"))))
                                    .header("Accept-Encoding", "gzip")
                                    .build(),
                            HttpResponse.BodyHandlers.ofByteArray());
            assertThat(state.headers().firstValue("Content-Encoding")).isEmpty();
        }
    }
}
