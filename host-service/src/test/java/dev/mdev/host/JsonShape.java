package dev.mdev.host;

import tools.jackson.databind.JsonNode;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// Compares values with the schemas of an OpenAPI document, as far as the document uses them.
final class JsonShape {
    private final JsonNode document;

    JsonShape(JsonNode document) {
        this.document = document;
    }

    /// The first place that does not fit.
    Optional<String> misfit(JsonNode value, JsonNode schema) {
        return misfit(value, schema, "");
    }

    JsonNode resolve(JsonNode schema) {
        JsonNode found = schema;
        while (found.has("$ref")) {
            found = document.at(found.get("$ref").asString().substring(1));
        }
        return found;
    }

    private Optional<String> misfit(JsonNode value, JsonNode anySchema, String at) {
        JsonNode schema = resolve(anySchema);
        if (schema.isMissingNode()) {
            return Optional.of(at + " has no schema");
        }
        if (schema.has("oneOf")) {
            List<String> misfits = new ArrayList<>();
            for (JsonNode one : schema.get("oneOf")) {
                misfit(value, one, at).ifPresent(misfits::add);
            }
            return misfits.size() < schema.get("oneOf").size()
                    ? Optional.empty()
                    : Optional.of(at + " is none of " + misfits);
        }
        if (schema.has("enum") && schema.get("enum").valueStream().noneMatch(value::equals)) {
            return Optional.of(at + "=" + value + " is no word of " + schema.get("enum"));
        }
        return switch (schema.path("type").asString("any")) {
            case "object" -> ofObject(value, schema, at);
            case "array" -> ofArray(value, schema, at);
            case "string" -> ofText(value, schema, at);
            case "integer" ->
                    value.isIntegralNumber() ? Optional.empty() : wrong(value, "integer", at);
            case "boolean" -> value.isBoolean() ? Optional.empty() : wrong(value, "boolean", at);
            case "null" -> value.isNull() ? Optional.empty() : wrong(value, "null", at);
            case "any" -> Optional.empty();
            default -> Optional.of(at + " has the unknown type " + schema.get("type"));
        };
    }

    private static Optional<String> wrong(JsonNode value, String type, String at) {
        return Optional.of("%s=%s is no %s".formatted(at, value, type));
    }

    private Optional<String> ofObject(JsonNode value, JsonNode schema, String at) {
        if (!value.isObject()) {
            return wrong(value, "object", at);
        }
        for (JsonNode name : schema.path("required")) {
            if (!value.has(name.asString())) {
                return Optional.of(at + " lacks " + name.asString());
            }
        }
        JsonNode others = schema.path("additionalProperties");
        for (var property : value.properties()) {
            String place = at + "/" + property.getKey();
            JsonNode known = schema.path("properties").path(property.getKey());
            JsonNode its = known.isMissingNode() ? others : known;
            if (!its.isObject()) {
                return Optional.of(place + " is not in the schema");
            }
            Optional<String> misfit = misfit(property.getValue(), its, place);
            if (misfit.isPresent()) {
                return misfit;
            }
        }
        return Optional.empty();
    }

    private Optional<String> ofArray(JsonNode value, JsonNode schema, String at) {
        if (!value.isArray()) {
            return wrong(value, "array", at);
        }
        for (int i = 0; i < value.size(); i++) {
            Optional<String> misfit = misfit(value.get(i), schema.get("items"), at + "/" + i);
            if (misfit.isPresent()) {
                return misfit;
            }
        }
        return Optional.empty();
    }

    private static Optional<String> ofText(JsonNode value, JsonNode schema, String at) {
        if (!value.isString()) {
            return wrong(value, "string", at);
        }
        String pattern = schema.path("pattern").asString(".*");
        if (!value.asString().matches("(?s)" + pattern)) {
            return Optional.of("%s=%s does not match %s".formatted(at, value, pattern));
        }
        if (schema.path("format").asString("").equals("uuid")) {
            try {
                UUID.fromString(value.asString());
            } catch (IllegalArgumentException _) {
                return wrong(value, "UUID", at);
            }
        }
        return Optional.empty();
    }
}
