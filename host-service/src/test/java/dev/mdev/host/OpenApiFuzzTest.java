package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.MissingNode;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// Every parameter and every field of every request of the OpenAPI document, with values that
/// nobody should send, by the administrator and by a tenant beside another.
///
/// No answer is a 500 or has a stack; each is in the document; a refusal changes nothing; nothing
/// of the other tenant is in an answer.
@Tag("slow")
@TestPropertySource(
        properties = {
            "mdev.access.requests-per-second=1000000",
            "mdev.machines.max-program-time=2s"
        })
class OpenApiFuzzTest extends SecuredTest {
    private static final Path FILE = Path.of("src/main/resources/static/docs/openapi.json");
    private static final String THEIRS = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
    private static final String OWN = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
    private static final String THEIR_MACHINE = "reds-machine";

    /// Lists that show what a request changed.
    private static final List<String> STATE =
            List.of(
                    "/api/v1/mdevs",
                    "/api/v1/definitions",
                    "/api/v1/machines",
                    "/api/v1/tokens",
                    "/api/v1/parents");

    private JsonNode document = MissingNode.getInstance();
    private JsonShape shape = new JsonShape(document);
    private As red = new As("");
    private final List<String> wrong = new ArrayList<>();
    private String before = "";
    private int sent;

    /// A call, and a request for it that may succeed.
    private record Call(String method, String pattern, JsonNode described) {
        Optional<JsonNode> example() {
            return Optional.of(described.at("/requestBody/content/application~1json/example"))
                    .filter(it -> !it.isMissingNode());
        }

        Map<String, String> headers(As caller) {
            Map<String, String> headers = new HashMap<>();
            headers.put("Authorization", "Bearer " + caller.token);
            described
                    .at("/requestBody/content")
                    .propertyNames()
                    .forEach(type -> headers.put("Content-Type", type));
            // A stream of events has no end.
            boolean isJson = described.at("/responses/200/content").has(Api.JSON);
            headers.put("Accept", isJson ? "application/json, application/problem+json" : "*/*");
            return headers;
        }
    }

    @BeforeEach
    void openDocument() throws IOException {
        document = JsonMapper.shared().readTree(Files.readString(FILE));
        shape = new JsonShape(document);
        red = tenant("red", "operator");
        red.put(
                        "/api/v1/mdevs/" + THEIRS,
                        "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\",\"persist\":true}")
                .requireStatus(201);
        red.post("/api/v1/machines", "{\"name\":\"%s\",\"ramMib\":1}".formatted(THEIR_MACHINE))
                .requireStatus(201);
    }

    @Test
    void aTenantsRequestsFailCleanlyAndShowNothingOfAnother() {
        As blue = tenant("blue", "operator");
        fuzz(blue, true);
    }

    @Test
    void theAdministratorsRequestsFailCleanly() {
        fuzz(admin, false);
    }

    private void fuzz(As caller, boolean isTenant) {
        for (Call call : calls()) {
            lay(caller);
            for (String request : paths(call, isTenant)) {
                check(call, caller, request, call.example().map(JsonNode::toString).orElse(""));
            }
            call.example()
                    .ifPresent(body -> {
                        for (String variant : HostileValues.variants(body)) {
                            check(call, caller, usualPath(call), variant);
                        }
                    });
        }
        assertThat(wrong).as("of %d requests", sent).isEmpty();
        assertThat(sent).isGreaterThan(3000);
    }

    private List<Call> calls() {
        List<Call> calls = new ArrayList<>();
        for (var path : document.path("paths").properties()) {
            for (var call : path.getValue().properties()) {
                calls.add(
                        new Call(
                                call.getKey().toUpperCase(Locale.ROOT),
                                path.getKey(),
                                call.getValue()));
            }
        }
        return calls;
    }

    /// What the caller has; what an earlier call made or ended does not matter.
    private void lay(As caller) {
        for (String name : namesOf("/api/v1/machines", "/name")) {
            if (!name.equals(THEIR_MACHINE) && !name.equals("vm1")) {
                admin.delete("/api/v1/machines/" + name).requireStatus(204);
            }
        }
        for (String uuid : namesOf("/api/v1/mdevs", "/uuid")) {
            if (!uuid.equals(THEIRS) && !uuid.equals(OWN)) {
                admin.delete("/api/v1/mdevs/%s?grace=0s".formatted(uuid)).requireStatus(200);
            }
        }
        caller.put(
                "/api/v1/mdevs/" + OWN,
                "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\",\"persist\":true}");
        caller.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":1,\"vcpus\":2}");
        caller.put("/api/v1/machines/vm1/devices/" + OWN, "");
        before = state();
    }

    private List<String> namesOf(String list, String pointer) {
        List<String> names = new ArrayList<>();
        admin.get(list)
                .requireStatus(200)
                .body()
                .path("items")
                .forEach(item -> names.add(item.at(pointer).asString()));
        return names;
    }

    /// Without what changes by itself, or by a request that succeeds.
    private String state() {
        StringBuilder state = new StringBuilder();
        for (String list : STATE) {
            state.append(admin.get(list).requireStatus(200).text());
        }
        return state.toString();
    }

    private static Map<String, String> usualVariables(Call call) {
        Map<String, String> variables = new HashMap<>();
        boolean isParent = call.pattern().startsWith("/api/v1/parents");
        boolean ends = call.method().equals("DELETE");
        variables.put("uuid", OWN);
        // The parent stays for the other requests.
        variables.put("name", isParent ? ends ? "absent" : "gpu0" : "vm1");
        variables.put("type", "gpu-sample-16m");
        variables.put("vcpu", "0");
        variables.put("id", "0123456789abcdef");
        variables.put("file", "x.mdev");
        return variables;
    }

    private static String usualPath(Call call) {
        return path(call, usualVariables(call));
    }

    private static String path(Call call, Map<String, String> variables) {
        String path = call.pattern();
        for (Map.Entry<String, String> variable : variables.entrySet()) {
            path = path.replace("{" + variable.getKey() + "}", variable.getValue());
        }
        return path;
    }

    private List<String> paths(Call call, boolean isTenant) {
        List<String> paths = new ArrayList<>();
        List<String> values = new ArrayList<>(HostileValues.texts());
        if (isTenant) {
            values.addAll(List.of(THEIRS, THEIR_MACHINE));
        }
        for (JsonNode parameter : call.described().path("parameters")) {
            String name = parameter.get("name").asString();
            for (String value : values) {
                switch (parameter.get("in").asString()) {
                    case "path" -> {
                        Map<String, String> variables = usualVariables(call);
                        variables.put(name, value);
                        paths.add(path(call, variables));
                    }
                    case "query" -> paths.add(usualPath(call) + "?" + name + "=" + value);
                    default -> {}
                }
            }
        }
        paths.add(usualPath(call) + "?unknown=1");
        return paths;
    }

    private void check(Call call, As caller, String path, String body) {
        String what = "%s %s %s".formatted(call.method(), brief(path), brief(body));
        Answer answer;
        try {
            answer = RawHttp.send(port(), call.method(), path, call.headers(caller), body);
        } catch (IOException e) {
            wrong.add(what + ": " + e);
            return;
        }
        sent++;
        String text = answer.text();
        if (answer.status() == 500 || text.contains("\tat ") || text.contains("Exception")) {
            wrong.add(what + ": " + answer.status() + " " + brief(text));
        }
        if (!path.contains(THEIRS)
                && !body.contains(THEIRS)
                && !path.contains(THEIR_MACHINE)
                && caller != admin
                && (text.contains(THEIRS) || text.contains(THEIR_MACHINE))) {
            wrong.add(what + ": shows the other tenant: " + brief(text));
        }
        JsonNode response =
                shape.resolve(call.described().path("responses").path("" + answer.status()));
        // A hostile path may be none of the call.
        if (response.isMissingNode() && answer.status() != 404) {
            wrong.add(what + ": status %d is not in the document".formatted(answer.status()));
        } else if (answer.status() < 300 && !answer.body().isMissingNode()) {
            JsonNode schema = response.path("content").path(Api.JSON).path("schema");
            if (!schema.isMissingNode()) {
                shape.misfit(answer.body(), schema).ifPresent(it -> wrong.add(what + ": " + it));
            }
        }
        String now = call.method().equals("GET") ? before : state();
        if (answer.status() >= 400 && answer.status() < 500 && !now.equals(before)) {
            wrong.add(what + ": refused with %d, but changed something".formatted(answer.status()));
        }
        before = now;
        if (answer.status() < 300 && call.method().equals("DELETE")) {
            lay(caller);
        }
    }

    private static String brief(String text) {
        return text.length() <= 200 ? text : text.substring(0, 200) + "...";
    }
}
