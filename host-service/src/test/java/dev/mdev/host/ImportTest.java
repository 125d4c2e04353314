package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Definitions from and to files of mdevctl, and attributes.
class ImportTest extends HostTest {
    private static final String IMPORT = "/api/v1/definitions/import";
    private static final String EXPORT = "/api/v1/definitions/export";
    private static final String ONE = "d1000000-0000-4000-8000-000000000001";
    private static final String TWO = "d1000000-0000-4000-8000-000000000002";
    private static final JsonMapper JSON = new JsonMapper();

    /// @param files paths and texts in turn
    private static String body(String... files) {
        ObjectNode body = JSON.createObjectNode();
        ArrayNode list = body.putArray("files");
        for (int i = 0; i < files.length; i += 2) {
            list.addObject().put("path", files[i]).put("text", files[i + 1]);
        }
        return body.toString();
    }

    private static String file(String type, String start, String attributes) {
        return "{\"mdev_type\":\"%s\",\"start\":\"%s\",\"attrs\":[%s]}"
                .formatted(type, start, attributes);
    }

    private JsonNode outcome(Answer answer, int index) {
        return answer.requireStatus(200).body().at("/files/" + index);
    }

    @Test
    void filesForAParentThatIsNotThereWaitForItAndComeOutAgain() {
        String attributes = "{\"b\":\"1\"},{\"a/x\":\"2\"},{\"b\":\"3\"}";

        Answer imported =
                api.post(
                        IMPORT,
                        body(
                                "mtty/" + ONE, file("mtty-1", "auto", attributes),
                                "mtty/" + TWO, file("mtty-2", "manual", "")));

        assertThat(outcome(imported, 0).at("/outcome").asString()).isEqualTo("defined");
        assertThat(outcome(imported, 1).at("/outcome").asString()).isEqualTo("defined");
        JsonNode mdev = api.get("/api/v1/mdevs/" + ONE).requireStatus(200).body();
        assertThat(mdev.at("/state/activity").asString()).isEqualTo("inactive");
        assertThat(mdev.at("/attributes/2/name").asString()).isEqualTo("b");
        assertThat(mdev.at("/attributes/2/value").asString()).isEqualTo("3");
        JsonNode exported = api.get(EXPORT).requireStatus(200).body();
        assertThat(exported.at("/files/0/path").asString()).isEqualTo("mtty/" + ONE);
        JsonNode text = JSON.readTree(exported.at("/files/0/text").asString());
        assertThat(text).isEqualTo(JSON.readTree(file("mtty-1", "auto", attributes)));
        assertThat(outcome(api.post(IMPORT, exported.toString()), 1).at("/outcome").asString())
                .isEqualTo("unchanged");
    }

    @Test
    void aMalformedFileIsNamedAndTheOthersGoThrough() {
        api.put("/api/v1/definitions/" + TWO, "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}")
                .requireStatus(201);

        Answer imported =
                api.post(
                        IMPORT,
                        body(
                                "gpu0/" + ONE, "{ half",
                                "gpu0/" + ONE, file("gpu-sample-17m", "auto", ""),
                                "gpu0/" + ONE, file("gpu-sample-16m", "auto", "{\"a\":\"1\"}"),
                                "no name/" + ONE, file("gpu-sample-16m", "auto", ""),
                                "mtty/" + TWO, file("mtty-1", "auto", ""),
                                "gpu0/" + TWO, file("gpu-sample-16m", "auto", ""),
                                "gpu0/" + ONE, file("Sample GPU, 16 MiB", "manual", "")));

        String[] reasons = {
            "not JSON", "no type=gpu-sample-17m", "takes no attribute=a", "not names", "different"
        };
        for (int i = 0; i < reasons.length; i++) {
            assertThat(outcome(imported, i).at("/outcome").asString()).isEqualTo("refused");
            assertThat(outcome(imported, i).at("/reason").asString()).contains(reasons[i]);
        }
        assertThat(outcome(imported, 5).at("/outcome").asString()).isEqualTo("changed");
        assertThat(outcome(imported, 6).at("/outcome").asString()).isEqualTo("defined");
        assertThat(api.get("/api/v1/definitions/" + ONE).at("/type")).isEqualTo("gpu-sample-16m");
        assertThat(api.get("/api/v1/definitions/" + TWO).body().at("/autostart").asBoolean())
                .isTrue();
    }

    /// Names of 255 bytes are the longest of Linux.
    @Test
    void theLongestNameAndATooDeepTextAreRefusedAndTheOthersGoThrough() {
        Answer imported =
                api.post(
                        IMPORT,
                        body(
                                "p".repeat(255) + "/" + "u".repeat(255), "{}",
                                "gpu0/" + TWO, "[".repeat(10_000),
                                "gpu0/" + ONE, file("gpu-sample-16m", "auto", "")));

        assertThat(outcome(imported, 0).at("/reason").asString()).contains("PARENT/UUID");
        assertThat(outcome(imported, 1).at("/reason").asString()).contains("not JSON");
        assertThat(outcome(imported, 2).at("/outcome").asString()).isEqualTo("defined");
    }

    @Test
    void attributesThatTheDriverDoesNotTakeAreRefusedEverywhere() {
        String asked =
                "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\","
                        + "\"attributes\":[{\"name\":\"%s\",\"value\":\"1\"}]}";
        String mdev = "/api/v1/mdevs/" + ONE;
        for (String path : new String[] {mdev, "/api/v1/definitions/" + ONE}) {
            Answer refused = api.put(path, asked.formatted("speed"));
            refused.requireProblem(422, "invalid");
            assertThat(refused.at("/detail")).contains("takes no attribute=speed");
            api.put(path, asked.formatted("../speed"))
                    .requireProblem(422, "invalid")
                    .requireViolation("/attributes/0", "../speed");
        }
        api.get(mdev).requireProblem(404, "not-found");
    }
}
