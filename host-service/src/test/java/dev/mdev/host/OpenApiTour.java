package dev.mdev.host;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.List;
import java.util.Map;

/// One request for each call that has a body or an answer, in an order in which they succeed: the
/// examples of the OpenAPI document. Real answers become the examples, shortened.
final class OpenApiTour {
    private static final String UUID = "11111111-1111-4111-8111-111111111111";
    private static final String OTHER = "22222222-2222-4222-8222-222222222222";
    private static final int LONGEST_EXAMPLE = 2;

    private final JsonMapper mapper = JsonMapper.shared();

    /// A request.
    ///
    /// @param call its method and the pattern of its path
    /// @param path the path itself; empty if it is the pattern
    record Stop(int status, String call, String path, String body) {
        String method() {
            return call.substring(0, call.indexOf(' '));
        }

        String pattern() {
            return "/api/v1" + call.substring(call.indexOf(' ') + 1);
        }

        String realPath() {
            return "/api/v1" + (path.isEmpty() ? call.substring(call.indexOf(' ') + 1) : path);
        }
    }

    private static Stop at(int status, String call, String path, String body) {
        return new Stop(status, call, path, body);
    }

    static List<Stop> stops() {
        String mdev = "/mdevs/" + UUID;
        String device =
                "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\",\"persist\":true,\"autostart\":true}";
        String program =
                """
                {"steps":[
                 {"op":"write","at":{"mdev":"%1$s","bar":0,"offset":"0x1000"},"count":8,"stride":4096,"value":"0xcafe","step":1},
                 {"op":"read","at":{"mdev":"%1$s","bar":0,"offset":"0x1000"},"width":4,"count":2},
                 {"op":"check","at":{"gpa":0},"count":4},
                 {"op":"fill","at":{"gpa":"0x2000"},"bytes":4096,"value":"0x55"}],
                 "continueAfterFault":false,"deadlineMillis":10000}\
                """
                        .formatted(UUID);
        String definition =
                "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-32m\",\"autostart\":false,\"attributes\":[]}";
        String files =
                "{\"files\":[{\"path\":\"gpu0/33333333-3333-4333-8333-333333333333\",\"text\":\"{\\\"mdev_type\\\":\\\"gpu-sample-16m\\\",\\\"start\\\":\\\"manual\\\",\\\"attrs\\\":[]}\"}]}";
        return List.of(
                at(200, "GET ", "", ""),
                at(200, "GET /session", "", ""),
                at(200, "GET /parents", "", ""),
                at(200, "GET /parents/{name}", "/parents/gpu0", ""),
                at(200, "GET /parents/{name}/types", "/parents/gpu0/types", ""),
                at(
                        200,
                        "GET /parents/{name}/types/{type}",
                        "/parents/gpu0/types/gpu-sample-16m",
                        ""),
                at(
                        200,
                        "GET /parents/{name}/types/{type}/explain",
                        "/parents/gpu0/types/gpu-sample-16m/explain",
                        ""),
                at(
                        409,
                        "POST /parents/{name}/types/{type}/defragment",
                        "/parents/gpu0/types/gpu-sample-16m/defragment",
                        "{\"plan\":\"4c5a3a0d\"}"),
                at(204, "POST /parents/{name}/rescan", "/parents/gpu0/rescan", ""),
                at(204, "POST /parents/{name}/repair", "/parents/gpu0/repair", ""),
                at(200, "POST /parents", "", "{\"driver\":\"gpu-sample\"}"),
                at(200, "GET /drivers", "", ""),
                at(
                        201,
                        "POST /mdevs",
                        "",
                        "{\"uuid\":\"%s\",%s".formatted(UUID, device.substring(1))),
                at(200, "PUT /mdevs/{uuid}", mdev, device),
                at(
                        200,
                        "PATCH /mdevs/{uuid}",
                        mdev,
                        "{\"displayName\":\"Red's first"
                                + " GPU\",\"labels\":{\"env\":\"prod\",\"old\":null}}"),
                at(200, "GET /mdevs", "", ""),
                at(200, "GET /mdevs/{uuid}", mdev, ""),
                at(201, "PUT /definitions/{uuid}", "/definitions/" + OTHER, definition),
                at(
                        200,
                        "PATCH /definitions/{uuid}",
                        "/definitions/" + OTHER,
                        "{\"description\":\"for the night shift\"}"),
                at(200, "GET /definitions", "", ""),
                at(200, "GET /definitions/{uuid}", "/definitions/" + OTHER, ""),
                at(200, "GET /definitions/export", "", ""),
                at(200, "POST /definitions/import", "", files),
                at(204, "DELETE /definitions/{uuid}", "/definitions/" + OTHER, ""),
                at(200, "GET /parents/{name}/capacity", "/parents/gpu0/capacity", ""),
                at(201, "POST /machines", "", "{\"name\":\"vm1\",\"ramMib\":16,\"vcpus\":2}"),
                at(201, "PUT /machines/{name}/devices/{uuid}", "/machines/vm1/devices/" + UUID, ""),
                at(
                        200,
                        "PATCH /machines/{name}",
                        "/machines/vm1",
                        "{\"labels\":{\"env\":\"prod\"}}"),
                at(200, "GET /machines", "", ""),
                at(200, "GET /machines/{name}", "/machines/vm1", ""),
                at(
                        200,
                        "PUT /machines/{name}/dirty-log",
                        "/machines/vm1/dirty-log",
                        "{\"mode\":\"manual\"}"),
                at(
                        200,
                        "POST /machines/{name}/vcpus/{vcpu}/programs",
                        "/machines/vm1/vcpus/0/programs",
                        program),
                at(200, "GET /machines/{name}/dirty-log", "/machines/vm1/dirty-log", ""),
                at(
                        200,
                        "POST /machines/{name}/dirty-log/clear",
                        "/machines/vm1/dirty-log/clear",
                        "{\"addressSpace\":0,\"slot\":0,\"first\":0,\"pages\":64}"),
                at(
                        204,
                        "POST /machines/{name}/vcpus/{vcpu}/interrupt",
                        "/machines/vm1/vcpus/0/interrupt",
                        ""),
                at(
                        200,
                        "GET /machines/{name}/devices/{uuid}/interrupts",
                        "/machines/vm1/devices/%s/interrupts".formatted(UUID),
                        ""),
                at(200, "GET /mdevs/{uuid}/faults", mdev + "/faults", ""),
                at(200, "GET /mdevs/{uuid}/residency", mdev + "/residency?cells=4", ""),
                at(200, "GET /mdevs/{uuid}/counters", mdev + "/counters", ""),
                at(
                        200,
                        "POST /mdevs/{uuid}/revoke",
                        mdev + "/revoke",
                        "{\"region\":0,\"firstPage\":0,\"pages\":16}"),
                at(204, "POST /mdevs/{uuid}/reset", mdev + "/reset", ""),
                at(
                        204,
                        "DELETE /machines/{name}/devices/{uuid}",
                        "/machines/vm1/devices/" + UUID,
                        ""),
                at(204, "DELETE /machines/{name}", "/machines/vm1", ""),
                at(200, "POST /mdevs/{uuid}/stop", mdev + "/stop?grace=1s", ""),
                at(200, "POST /mdevs/{uuid}/start", mdev + "/start", ""),
                at(
                        200,
                        "POST /desired/plan",
                        "",
                        "{\"manager\":\"site\",\"machines\":[{\"name\":\"vm2\",\"ramMib\":1}]}"),
                at(
                        200,
                        "PUT /desired",
                        "",
                        "{\"manager\":\"site\",\"machines\":[{\"name\":\"vm2\",\"ramMib\":1}]}"),
                at(
                        204,
                        "POST /desired/assert",
                        "",
                        "{\"manager\":\"site\",\"machines\":[{\"name\":\"vm2\",\"ramMib\":1}]}"),
                at(200, "GET /events", "/events?limit=2", ""),
                at(200, "GET /operations", "", ""),
                at(200, "GET /audit", "/audit?limit=2", ""),
                at(200, "GET /audit/verification", "", ""),
                at(
                        201,
                        "POST /tokens",
                        "",
                        "{\"name\":\"grafana\",\"role\":\"viewer\",\"tenant\":\"red\",\"parents\":[\"gpu0\"],\"machines\":[],\"expires\":\"2099-01-01T00:00:00Z\"}"),
                at(200, "GET /tokens", "", ""),
                at(401, "POST /session", "", "{\"token\":\"mdev_0123456789abcdef_...\"}"),
                at(200, "DELETE /mdevs/{uuid}", mdev + "?grace=1s", ""));
    }

    /// A real answer as an example: no secret, and few items of each list.
    JsonNode exampleOf(JsonNode answer) {
        JsonNode example = mapper.readTree(answer.toString());
        if (example instanceof ObjectNode object && object.has("token")) {
            object.put("token", "mdev_0123456789abcdef_...");
        }
        shorten(example);
        return example;
    }

    private static void shorten(JsonNode node) {
        if (node instanceof ArrayNode array) {
            while (array.size() > LONGEST_EXAMPLE) {
                array.remove(array.size() - 1);
            }
        }
        node.forEach(OpenApiTour::shorten);
    }

    /// Puts the examples of one document into another, where it has the same calls.
    static void copyExamples(JsonNode from, JsonNode to) {
        for (Map.Entry<String, JsonNode> path : to.get("paths").properties()) {
            for (Map.Entry<String, JsonNode> call : path.getValue().properties()) {
                JsonNode known = from.path("paths").path(path.getKey()).path(call.getKey());
                copy(known.path("responses"), call.getValue().get("responses"));
            }
        }
    }

    private static void copy(JsonNode from, JsonNode to) {
        for (Map.Entry<String, JsonNode> status : to.properties()) {
            for (var content : status.getValue().path("content").properties()) {
                JsonNode example =
                        from.path(status.getKey())
                                .path("content")
                                .path(content.getKey())
                                .path("example");
                if (!example.isMissingNode() && content.getValue() instanceof ObjectNode its) {
                    its.set("example", example);
                }
            }
        }
    }
}
