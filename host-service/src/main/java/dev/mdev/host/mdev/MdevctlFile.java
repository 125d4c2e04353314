package dev.mdev.host.mdev;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.ledger.MdevDefinition;

import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;

import tools.jackson.core.JacksonException;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// A definition as a file of mdevctl 1.4 (`/etc/mdevctl.d/PARENT/UUID`):
///
/// ```
/// {"mdev_type": "mtty-1", "start": "auto", "attrs": [{"name": "value"}, ...]}
/// ```
///
/// As for mdevctl, the last of two fields of one name counts, `attrs` may be null, and every start
/// but `auto` is manual. Unlike mdevctl, this host refuses unknown fields, which it would lose.
///
/// @param path `PARENT/UUID`, relative to mdevctl's folder
/// @param text its content
record MdevctlFile(@NotNull @Size(max = MAX_PATH_CHARS) String path, @NotNull String text) {
    /// The longest that a file can have, in the folder of a parent: two names of 255 bytes.
    private static final int MAX_PATH_CHARS = 511;

    private static final String TYPE = "mdev_type";
    private static final String START = "start";
    private static final String ATTRS = "attrs";
    private static final String AUTO = "auto";

    private static final JsonMapper JSON =
            JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

    /// The file of a definition.
    static MdevctlFile of(MdevDefinition definition) {
        ObjectNode root = JSON.createObjectNode();
        root.put(TYPE, definition.type()).put(START, definition.autostart() ? AUTO : "manual");
        ArrayNode attributes = root.putArray(ATTRS);
        for (Attribute one : definition.attributes()) {
            attributes.addObject().put(one.name(), one.value());
        }
        return new MdevctlFile(
                definition.parent() + "/" + definition.uuid(),
                JSON.writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n");
    }

    /// The definition in the file. Its type may be a name instead of an id.
    ///
    /// @throws MdevException EINVAL with what is wrong
    Parsed parse() {
        int slash = path.indexOf('/');
        String uuid = path.substring(slash + 1);
        if (slash < 1 || !uuid.matches("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")) {
            throw invalid("the path is not PARENT/UUID");
        }
        ObjectNode root = root();
        for (String field : root.propertyNames()) {
            if (!List.of(TYPE, START, ATTRS).contains(field)) {
                throw invalid("unknown field: %.80s".formatted(field));
            }
        }
        return new Parsed(
                UUID.fromString(uuid),
                path.substring(0, slash),
                type(root),
                isAuto(root),
                attributes(root.path(ATTRS)));
    }

    /// What a file says.
    record Parsed(
            UUID uuid, String parent, String type, boolean autostart, List<Attribute> attributes) {}

    private ObjectNode root() {
        try {
            if (JSON.readTree(text) instanceof ObjectNode root) {
                return root;
            }
        } catch (JacksonException e) {
            throw new MdevException(Errno.EINVAL, "not JSON" + placeOf(e), e);
        }
        throw invalid("not a JSON object");
    }

    /// What exceeds a limit of the parser, such as its depth, may have no place.
    private static String placeOf(JacksonException e) {
        TokenStreamLocation place = e.getLocation();
        return place == null || place.getLineNr() < 1
                ? ": %.80s".formatted(e.getOriginalMessage())
                : " at line %d, column %d".formatted(place.getLineNr(), place.getColumnNr());
    }

    private static String type(ObjectNode root) {
        JsonNode value = required(root, TYPE);
        if (!value.isString()) {
            throw invalid(TYPE + " is not a text");
        }
        return value.stringValue();
    }

    private static boolean isAuto(ObjectNode root) {
        JsonNode value = required(root, START);
        return value.isString() && value.stringValue().equals(AUTO);
    }

    private static JsonNode required(ObjectNode root, String field) {
        JsonNode value = root.path(field);
        if (value.isMissingNode() || value.isNull()) {
            throw invalid(field + " is missing");
        }
        return value;
    }

    private static List<Attribute> attributes(JsonNode list) {
        if (list.isMissingNode() || list.isNull()) {
            return List.of();
        }
        if (!list.isArray()) {
            throw invalid(ATTRS + " is not a list");
        }
        List<Attribute> attributes = new ArrayList<>();
        for (JsonNode item : list) {
            if (!(item instanceof ObjectNode one) || one.size() != 1) {
                throw invalid(
                        "%s/%d is not an object with one name".formatted(ATTRS, attributes.size()));
            }
            Map.Entry<String, JsonNode> setting = one.properties().iterator().next();
            if (!setting.getValue().isString()) {
                throw invalid("%s/%d: the value is not a text".formatted(ATTRS, attributes.size()));
            }
            attributes.add(new Attribute(setting.getKey(), setting.getValue().stringValue()));
        }
        return attributes;
    }

    private static MdevException invalid(String what) {
        return new MdevException(Errno.EINVAL, what);
    }
}
