package dev.mdev.host;

import org.jspecify.annotations.Nullable;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/// Completes the schemas that springdoc makes of the records: short names, words in lower case,
/// 64-bit numbers, what is always there, and the comments of the sources.
final class OpenApiSchemas {
    private static final String PREFIX = "#/components/schemas/";
    private static final String LIST = "dev.mdev.host.web.ItemsDev.";
    private static final String STREAM =
            "org.springframework.web.servlet.mvc.method.annotation.SseEmitter";
    private static final String PROBLEM = "org.springframework.http.ProblemDetail";
    private static final String SMM = "dev.mdev.host.machine.SmmOption";
    private static final String PATCH = "dev.mdev.host.label.MergePatch";
    private static final String U64 = "dev.mdev.host.machine.U64";

    private final JsonMapper mapper = JsonMapper.shared();
    private final RecordDocs docs = new RecordDocs();
    private final Map<String, String> names = new HashMap<>();
    private final Set<String> requests = new HashSet<>();
    private final ObjectNode document;

    /// @param raw what springdoc made, with full names
    OpenApiSchemas(JsonNode raw) {
        JsonNode schemas = raw.at("/components/schemas");
        new TreeSet<>(schemas.propertyNames()).forEach(this::giveName);
        if (new HashSet<>(names.values()).size() != names.size()) {
            throw new IllegalStateException("two records have one name: " + names);
        }
        raw.at("/paths")
                .forEach(path ->
                        path.forEach(call -> findRequests(call.path("requestBody"), schemas)));
        String text = raw.toString();
        for (Map.Entry<String, String> name : names.entrySet()) {
            text =
                    text.replace(
                            '"' + PREFIX + name.getKey() + '"',
                            '"' + PREFIX + name.getValue() + '"');
        }
        document = (ObjectNode) mapper.readTree(text);
        TreeMap<String, JsonNode> named = new TreeMap<>();
        document.at("/components/schemas")
                .properties()
                .forEach(it ->
                        named.put(
                                nameOf(it.getKey()),
                                completed(it.getKey(), (ObjectNode) it.getValue())));
        ObjectNode sorted = mapper.createObjectNode();
        named.forEach(sorted::set);
        document.withObject("/components").set("schemas", sorted);
        lowerWords(document);
    }

    /// The second of two records with one short name keeps its long one.
    private void giveName(String full) {
        String name = shortName(full, "(View|Controller)$");
        names.put(full, names.containsValue(name) ? shortName(full, "$") : name);
    }

    /// The short name of a schema.
    String nameOf(String full) {
        return names.getOrDefault(full, full);
    }

    ObjectNode document() {
        return document;
    }

    private void findRequests(JsonNode node, JsonNode schemas) {
        if (node.isObject() && node.has("$ref")) {
            String full = node.get("$ref").asString().substring(PREFIX.length());
            if (requests.add(full)) {
                findRequests(schemas.path(full), schemas);
            }
        }
        node.forEach(child -> findRequests(child, schemas));
    }

    /// `MdevView.Region` is `MdevRegion`, and `Items<MdevView>` is `MdevList`.
    private static String shortName(String full, String leftOut) {
        if (full.equals(STREAM)) {
            return "EventStream";
        }
        if (full.equals(PROBLEM)) {
            return "Problem";
        }
        StringBuilder name = new StringBuilder();
        for (String part : full.replace(LIST, "dev.").split("\\.", -1)) {
            if (Character.isUpperCase(part.charAt(0))) {
                name.append(part.replaceFirst(leftOut, ""));
            }
        }
        return full.startsWith(LIST) ? name + "List" : name.toString();
    }

    private static Class<?> classOf(String full) {
        String name = full;
        while (true) {
            try {
                return Class.forName(name);
            } catch (ClassNotFoundException e) {
                int dot = name.lastIndexOf('.');
                if (dot < 0) {
                    throw new IllegalStateException("no class " + full, e);
                }
                name = name.substring(0, dot) + '$' + name.substring(dot + 1);
            }
        }
    }

    private JsonNode completed(String full, ObjectNode schema) {
        if (full.startsWith(LIST)) {
            schema.putArray("required").add("items");
            return schema;
        }
        if (full.equals(STREAM)) {
            return text("Server-sent events: `open`, `gap`, and events without a name.", ".*");
        }
        if (full.equals(U64)) {
            return number64();
        }
        if (full.equals(SMM)) {
            return systemManagementMode();
        }
        if (full.equals(PATCH)) {
            return patch();
        }
        Class<?> type = classOf(full);
        if (type.isSealed()) {
            return choice(type);
        }
        ObjectNode object = schema.has("allOf") ? step(type, schema) : schema;
        describe(object, type);
        if (requests.contains(full)) {
            object.put("additionalProperties", false);
        } else if (type.isRecord()) {
            ArrayNode required = object.putArray("required");
            Arrays.stream(type.getRecordComponents())
                    .filter(it -> !it.getAnnotatedType().isAnnotationPresent(Nullable.class))
                    .filter(it -> object.path("properties").has(it.getName()))
                    .map(RecordComponent::getName)
                    .forEach(required::add);
        }
        return object;
    }

    /// In a merge patch, null removes.
    private JsonNode patch() {
        ObjectNode patch = mapper.createObjectNode().put("type", "object");
        patch.put("description", "A JSON merge patch (RFC 7396): null removes a member.");
        patch.put("additionalProperties", false);
        ObjectNode properties = patch.putObject("properties");
        properties.set("displayName", textOrNull());
        properties.set("description", textOrNull());
        ObjectNode labels = mapper.createObjectNode().put("type", "object");
        labels.set("additionalProperties", textOrNull());
        ObjectNode labelsOrNull = properties.putObject("labels");
        labelsOrNull.putArray("oneOf").add(labels).addObject().put("type", "null");
        return patch;
    }

    private JsonNode textOrNull() {
        ObjectNode either = mapper.createObjectNode();
        either.putArray("oneOf").add(text("", "")).addObject().put("type", "null");
        return either;
    }

    private ObjectNode text(String description, String pattern) {
        ObjectNode text = mapper.createObjectNode().put("type", "string");
        return description.isEmpty()
                ? text
                : text.put("description", description).put("pattern", pattern);
    }

    private JsonNode number64() {
        ObjectNode number = mapper.createObjectNode();
        number.put("description", "A 64-bit number; in an answer always a string with `0x`.");
        ArrayNode forms = number.putArray("oneOf");
        forms.add(text("Decimal, or hexadecimal with `0x`.", "0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}"));
        forms.addObject().put("type", "integer");
        return number;
    }

    private JsonNode systemManagementMode() {
        ObjectNode option = mapper.createObjectNode();
        option.put("description", "`true` is short for `address-space`, `false` for `off`.");
        ArrayNode forms = option.putArray("oneOf");
        ArrayNode words = forms.addObject().put("type", "string").putArray("enum");
        words.add("off").add("address-space").add("slot-flag");
        forms.addObject().put("type", "boolean");
        return option;
    }

    private JsonNode choice(Class<?> type) {
        ObjectNode choice = mapper.createObjectNode();
        docs.about(type).ifPresent(it -> choice.put("description", it));
        ArrayNode forms = choice.putArray("oneOf");
        for (Class<?> form : type.getPermittedSubclasses()) {
            forms.addObject().put("$ref", PREFIX + nameOf(form.getCanonicalName()));
        }
        return choice;
    }

    /// A step of a program: its word says which form it has.
    private JsonNode stepWord(Class<?> type) {
        ObjectNode word = mapper.createObjectNode().put("type", "string");
        word.putArray("enum").add(type.getSimpleName().toLowerCase(Locale.ROOT));
        return word;
    }

    private ObjectNode step(Class<?> type, ObjectNode schema) {
        // A step without fields has only what all steps have.
        ObjectNode object =
                schema.get("allOf").get(1) instanceof ObjectNode own
                        ? own
                        : mapper.createObjectNode().put("type", "object");
        object.withObject("/properties").set("op", stepWord(type));
        object.putArray("required").add("op");
        return object;
    }

    private void describe(ObjectNode schema, Class<?> type) {
        docs.about(type).ifPresent(it -> schema.put("description", it));
        for (var property : schema.path("properties").properties()) {
            if (property.getValue() instanceof ObjectNode its) {
                docs.about(type, property.getKey()).ifPresent(it -> its.put("description", it));
            }
        }
    }

    private static void lowerWords(JsonNode node) {
        if (node.path("enum") instanceof ArrayNode words) {
            for (int i = 0; i < words.size(); i++) {
                words.set(i, words.stringNode(words.get(i).asString().toLowerCase(Locale.ROOT)));
            }
        }
        node.forEach(OpenApiSchemas::lowerWords);
    }
}
