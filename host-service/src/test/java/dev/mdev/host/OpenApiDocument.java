package dev.mdev.host;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.web.LongCall;

import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.method.HandlerMethod;
import org.springframework.web.servlet.mvc.method.RequestMappingInfo;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;

/// Makes the OpenAPI document of what springdoc finds in the code, and of the tables in the
/// reference: the effect of each call, its statuses, and the kinds of problems.
final class OpenApiDocument {
    private static final List<String> METHODS = List.of("get", "post", "put", "patch", "delete");

    private static final Map<String, String> PARAMETERS =
            Map.ofEntries(
                    Map.entry("uuid", "The device."),
                    Map.entry("name", "The name of the parent or the machine."),
                    Map.entry("type", "The id of a type, or its name."),
                    Map.entry("id", "The id of the token, or of the operation."),
                    Map.entry("vcpu", "The number of the virtual processor."),
                    Map.entry("file", "The file, as the doctor names it."),
                    Map.entry("limit", "The most items of the answer."),
                    Map.entry(
                            "after", "The place after which the answer begins: an earlier `next`."),
                    Map.entry("grace", "How long the holder may take to release the device."),
                    Map.entry("force", "Whether to take the device away after that."),
                    Map.entry("wait", "How long to wait for the first event, or for the end."),
                    Map.entry("kind", "Only items of this kind."),
                    Map.entry("subject", "Only this subject, or all that begin like it up to `/`."),
                    Map.entry(
                            "label", "`KEY=VALUE`, `KEY!=VALUE`, `KEY` or `!KEY`; all must hold."),
                    Map.entry(
                            "dryRun",
                            "Whether only to tell if it would be done: 204, or what refuses it."),
                    Map.entry("cells", "The most cells of a region."),
                    Map.entry("by", "`slot` or `memory`."),
                    Map.entry("of", "The number of a record whose hash is wanted."),
                    Map.entry("Last-Event-ID", "The id of the last event that the client has."));

    private static final Pattern TAGGED =
            Pattern.compile("^/api/v1/((mdevs|definitions)/\\{uuid}|machines/\\{name})");

    /// Nothing keeps their answers.
    private static final Pattern SECRET = Pattern.compile("^/api/v1/(tokens|session)$");

    private final JsonMapper mapper = JsonMapper.shared();
    private final RestTables tables = new RestTables();
    private final Map<RequestMappingInfo, HandlerMethod> endpoints;
    private final OpenApiSchemas schemas;
    private final ObjectNode document;

    OpenApiDocument(JsonNode raw, Map<RequestMappingInfo, HandlerMethod> endpoints) {
        this.endpoints = endpoints;
        this.schemas = new OpenApiSchemas(raw);
        this.document = schemas.document();
        introduce();
        addProblems();
        addAccepted();
        ObjectNode paths = mapper.createObjectNode();
        TreeMap<String, JsonNode> sorted = new TreeMap<>();
        document.get("paths").properties().forEach(it -> sorted.put(it.getKey(), it.getValue()));
        sorted.forEach((path, item) -> paths.set(path, pathItem(path, item)));
        document.set("paths", paths);
        requireNewIds();
    }

    ObjectNode document() {
        return document;
    }

    private void introduce() {
        ObjectNode info = document.putObject("info");
        info.put("title", "mdev");
        info.put("version", "1");
        info.put(
                "description",
                "The host service of mediated devices: splits devices among virtual machines. Every"
                        + " error is a problem detail (RFC 9457); a query parameter or a field that"
                        + " a call does not take is an error.");
        info.putObject("license").put("name", "Apache-2.0").put("identifier", "Apache-2.0");
        document.putArray("servers").addObject().put("url", "/");
        document.remove("tags");
        ArrayNode security = document.putArray("security");
        security.addObject();
        security.addObject().putArray("bearer");
        security.addObject().putArray("session");
        ObjectNode schemes = document.withObject("/components/securitySchemes");
        schemes.putObject("bearer")
                .put("type", "http")
                .put("scheme", "bearer")
                .put(
                        "description",
                        "A token of `POST /api/v1/tokens`, or of an identity provider.");
        schemes.putObject("session")
                .put("type", "apiKey")
                .put("in", "cookie")
                .put("name", "mdev-session")
                .put(
                        "description",
                        "A session of a browser. A change also needs the header `X-Csrf-Token`.");
        document.withObject("/components/headers/RequestId")
                .put("description", "Names the request in the log.")
                .putObject("schema")
                .put("type", "string")
                .put("format", "uuid");
    }

    private void addProblems() {
        ObjectNode problem = document.withObject("/components/schemas/Problem");
        problem.put("type", "object").put("description", "An error (RFC 9457).");
        ArrayNode required = problem.putArray("required");
        List.of("type", "title", "status", "detail", "code", "retryable").forEach(required::add);
        ObjectNode properties = problem.putObject("properties");
        text(properties, "type", "`urn:mdev:problem:` and the code. It never changes its meaning.");
        text(properties, "title", "The same for each occurrence.");
        properties.putObject("status").put("type", "integer");
        text(properties, "detail", "What happened, for people.");
        text(properties, "instance", "The id of the request, as in `X-Request-Id`.");
        text(properties, "code", "For programs.");
        text(properties, "errno", "The error number, if the core or a driver gave one.");
        properties
                .putObject("retryable")
                .put("type", "boolean")
                .put("description", "Whether the same request may succeed later.");
        ObjectNode violations = properties.putObject("violations").put("type", "array");
        violations.put("description", "The invalid parts of the request.");
        ObjectNode violation = violations.putObject("items").put("type", "object");
        text(violation.putObject("properties"), "pointer", "A JSON pointer into the body.");
        text(violation.withObject("/properties"), "detail", "The error there.");
        ArrayNode codes = ((ObjectNode) properties.get("code")).putArray("enum");
        ObjectNode responses = document.withObject("/components/responses");
        for (Problem kind : Problem.values()) {
            codes.add(kind.code());
            addProblem(responses, kind);
        }
    }

    /// The answer to a client that does not wait for the end of long work.
    private void addAccepted() {
        ObjectNode accepted = document.withObject("/components/responses/Accepted");
        accepted.put("description", "With `Prefer: respond-async`: the work goes on.");
        ObjectNode headers = accepted.putObject("headers");
        headers.putObject("X-Request-Id").put("$ref", "#/components/headers/RequestId");
        header(headers, "Location", "The path of the operation.");
        header(headers, "Preference-Applied", "`respond-async`.");
        accepted.withObject("/content/application~1json/schema")
                .put("$ref", "#/components/schemas/Operation");
    }

    private static void header(ObjectNode headers, String name, String description) {
        headers.putObject(name)
                .put("description", description)
                .putObject("schema")
                .put("type", "string");
    }

    private static void text(ObjectNode properties, String name, String description) {
        properties.putObject(name).put("type", "string").put("description", description);
    }

    /// One answer for each status, with an example of each of its kinds.
    private void addProblem(ObjectNode responses, Problem kind) {
        String meaning = tables.problems().get(kind.code());
        if (meaning == null) {
            throw new IllegalStateException("the reference lacks the problem " + kind.code());
        }
        int status = kind.status().value();
        String name = nameOf(status);
        ObjectNode response =
                responses.has(name) ? (ObjectNode) responses.get(name) : responses.putObject(name);
        String words = "`%s`: %s.".formatted(kind.code(), meaning);
        response.put(
                "description",
                response.has("description")
                        ? response.get("description").asString() + " " + words
                        : words);
        ObjectNode content =
                response.withObject("/content").withObject("/application~1problem+json");
        content.putObject("schema").put("$ref", "#/components/schemas/Problem");
        content.withObject("/examples")
                .putObject(kind.code())
                .putObject("value")
                .put("type", kind.type().toString())
                .put("title", kind.title())
                .put("status", status)
                .put("detail", meaning)
                .put("instance", "urn:uuid:be6bb25a-7ca7-4db5-93d4-e7c1815b1d56")
                .put("code", kind.code())
                .put("retryable", kind.retryable());
    }

    private static String nameOf(int status) {
        return "Problem" + status;
    }

    private ObjectNode pathItem(String path, JsonNode raw) {
        ObjectNode item = mapper.createObjectNode();
        for (String method : METHODS) {
            if (raw.path(method) instanceof ObjectNode call) {
                item.set(method, operation(path, method.toUpperCase(Locale.ROOT), call));
            }
        }
        return item;
    }

    private ObjectNode operation(String path, String method, ObjectNode raw) {
        RestTables.Call call = tables.call(method, path);
        ObjectNode operation = mapper.createObjectNode();
        String[] parts = path.split("/", -1);
        operation.putArray("tags").add(parts.length > 3 ? parts[3] : "service");
        operation.put("summary", call.effect());
        operation.put("operationId", idOf(path, method));
        if (raw.path("parameters") instanceof ArrayNode parameters) {
            parameters.forEach(it -> describe((ObjectNode) it));
            operation.set("parameters", parameters);
        }
        if (!method.equals("GET") && TAGGED.matcher(path).find()) {
            ObjectNode condition = operation.withArray("/parameters").addObject();
            condition.put("name", "If-Match").put("in", "header").put("required", false);
            condition.put("description", "The `ETag` that the thing must still have.");
            condition.putObject("schema").put("type", "string");
        }
        if (method.equals("POST") && !SECRET.matcher(path).find()) {
            ObjectNode key = operation.withArray("/parameters").addObject();
            key.put("name", "Idempotency-Key").put("in", "header").put("required", false);
            key.put("description", "A repeated request with it gets the answer of the first.");
            key.putObject("schema").put("type", "string").put("pattern", "^[!-~]{1,128}$");
        }
        if (takesLong(path, method)) {
            ObjectNode preference = operation.withArray("/parameters").addObject();
            preference.put("name", "Prefer").put("in", "header").put("required", false);
            preference.put(
                    "description",
                    "`respond-async` for an answer at once; with `, wait=SECONDS` after that"
                            + " time.");
            preference.putObject("schema").put("type", "string");
        }
        addBody(operation, path, method, raw);
        addResponses(operation, path, method, raw, call);
        return operation;
    }

    private boolean takesLong(String path, String method) {
        return endpoint(path, method).getValue().hasMethodAnnotation(LongCall.class);
    }

    private static void describe(ObjectNode parameter) {
        String name = parameter.get("name").asString();
        parameter.put("description", PARAMETERS.getOrDefault(name, "Only items with this value."));
        ObjectNode schema = (ObjectNode) parameter.get("schema");
        if (schema.path("format").asString("").equals("duration")) {
            // 5s is none of ISO 8601.
            schema.remove("format");
            schema.put("pattern", "-?[0-9]+(ns|us|ms|s|m|h|d)?|[-+]?[pP].*");
            parameter.put("example", "5s");
        }
    }

    private Map.Entry<RequestMappingInfo, HandlerMethod> endpoint(String path, String method) {
        return endpoints.entrySet().stream()
                .filter(it -> it.getKey().getPatternValues().contains(path))
                .filter(it -> names(it.getKey()).contains(method))
                .min((a, b) -> idOf(a.getValue()).compareTo(idOf(b.getValue())))
                .orElseThrow();
    }

    private static Set<String> names(RequestMappingInfo endpoint) {
        Set<String> names = new TreeSet<>();
        endpoint.getMethodsCondition().getMethods().forEach(it -> names.add(it.name()));
        return names;
    }

    private String idOf(String path, String method) {
        return idOf(endpoint(path, method).getValue());
    }

    /// `MdevController.create` is `createMdev`.
    private static String idOf(HandlerMethod handler) {
        return handler.getMethod().getName()
                + handler.getBeanType().getSimpleName().replaceFirst("Controller$", "");
    }

    private void addBody(ObjectNode operation, String path, String method, ObjectNode raw) {
        Set<MediaType> consumed =
                endpoint(path, method).getKey().getConsumesCondition().getConsumableMediaTypes();
        if (raw.has("requestBody")) {
            operation.set("requestBody", raw.get("requestBody"));
            String schema = "#/components/schemas/" + bodyOf(endpoint(path, method).getValue());
            // springdoc leaves it out of a body that has two formats.
            operation
                    .at("/requestBody/content")
                    .forEach(content -> content.withObject("/schema").put("$ref", schema));
        } else if (!consumed.isEmpty()) {
            ObjectNode body = operation.putObject("requestBody").put("required", true);
            body.withObject("/content").set(consumed.iterator().next().toString(), binary());
        }
    }

    private String bodyOf(HandlerMethod handler) {
        return Arrays.stream(handler.getMethodParameters())
                .filter(it -> it.hasParameterAnnotation(RequestBody.class))
                .map(it -> schemas.nameOf(it.getParameterType().getCanonicalName()))
                .findFirst()
                .orElseThrow();
    }

    private ObjectNode binary() {
        ObjectNode content = mapper.createObjectNode();
        content.putObject("schema").put("type", "string").put("format", "binary");
        return content;
    }

    private void addResponses(
            ObjectNode operation,
            String path,
            String method,
            ObjectNode raw,
            RestTables.Call call) {
        ObjectNode responses = operation.putObject("responses");
        JsonNode content = raw.at("/responses").iterator().next().path("content");
        for (String status : call.statuses()) {
            ObjectNode response = responses.putObject(status);
            response.put("description", call.effect());
            ObjectNode headers = response.putObject("headers");
            headers.putObject("X-Request-Id").put("$ref", "#/components/headers/RequestId");
            if (status.equals("201")) {
                ObjectNode location = headers.putObject("Location");
                location.put("description", "The path of what was made.");
                location.putObject("schema").put("type", "string");
            }
            if (!status.equals("204")) {
                response.set("content", content.isMissingNode() ? produced(path, method) : content);
            }
        }
        if (takesLong(path, method)) {
            responses.putObject("202").put("$ref", "#/components/responses/Accepted");
        }
        if (!responses.has("204") && takesDryRun(operation)) {
            ObjectNode response = responses.putObject("204");
            response.put("description", "With `dryRun`: it would be done.");
            response.putObject("headers")
                    .putObject("X-Request-Id")
                    .put("$ref", "#/components/headers/RequestId");
        }
        problemsOf(path, method, operation)
                .forEach(status ->
                        responses
                                .putObject(Integer.toString(status))
                                .put("$ref", "#/components/responses/" + nameOf(status)));
    }

    private static boolean takesDryRun(ObjectNode operation) {
        return operation
                .path("parameters")
                .valueStream()
                .anyMatch(it -> it.path("name").asString("").equals("dryRun"));
    }

    private ObjectNode produced(String path, String method) {
        ObjectNode content = mapper.createObjectNode();
        endpoint(path, method)
                .getKey()
                .getProducesCondition()
                .getProducibleMediaTypes()
                .forEach(type -> content.set(type.toString(), binary()));
        return content;
    }

    /// As "Which call gives which" of the reference says.
    private static Set<Integer> problemsOf(String path, String method, ObjectNode operation) {
        Set<Integer> statuses = new TreeSet<>(List.of(400, 401, 403, 405, 406, 429, 500));
        boolean isNamed = path.contains("{");
        if (isNamed) {
            statuses.addAll(List.of(404, 409, 501, 502, 503, 504));
        }
        if (operation.has("parameters")) {
            statuses.addAll(List.of(422, 503));
        }
        if (!method.equals("GET") && isNamed) {
            statuses.add(412);
        }
        if (!method.equals("GET")) {
            statuses.addAll(List.of(404, 408, 409, 413, 415, 422, 501, 502, 503, 504, 507));
        }
        return statuses;
    }

    private void requireNewIds() {
        Set<String> ids = new HashSet<>();
        for (JsonNode path : document.get("paths")) {
            for (JsonNode call : path) {
                String id = call.get("operationId").asString();
                if (!ids.add(id)) {
                    throw new IllegalStateException("two calls have the id " + id);
                }
            }
        }
        if (ids.size() + 1 < tables.size()) {
            throw new IllegalStateException("the reference has calls that the service has not");
        }
    }
}
