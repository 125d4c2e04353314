package dev.mdev.cli.verb;

import dev.mdev.cli.text.Fields;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// What mdevctl 1.4 prints with `--dumpjson`, so that its users keep their scripts.
final class MdevctlJson {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private MdevctlJson() {}

    /// mdevctl's list: one object with all parents, or nothing.
    static ArrayNode list(ObjectNode byParent) {
        ArrayNode list = JSON.arrayNode();
        return byParent.isEmpty() ? list : list.add(byParent);
    }

    /// Devices or definitions of the service by their parents, in mdevctl's order.
    static ArrayNode devices(List<JsonNode> items) {
        Map<String, ArrayNode> byParent = new TreeMap<>();
        for (JsonNode item : items) {
            byParent.computeIfAbsent(Fields.text(item, "/parent"), _ -> JSON.arrayNode())
                    .add(JSON.objectNode().set(Fields.text(item, "/uuid"), definition(item)));
        }
        ObjectNode all = JSON.objectNode();
        byParent.forEach(all::set);
        return list(all);
    }

    /// A device or a definition of the service as in mdevctl's files. A device has no attributes
    /// here: for those of a device that runs, mdevctl asks a call-out script.
    static ObjectNode definition(JsonNode item) {
        boolean isDevice = item.has("state");
        boolean starts = Fields.isTrue(item, isDevice ? "/state/autostart" : "/autostart");
        ObjectNode definition =
                JSON.objectNode()
                        .put("mdev_type", Fields.text(item, "/type"))
                        .put("start", starts ? "auto" : "manual");
        definition.set("attrs", isDevice ? JSON.arrayNode() : Attributes.toMdevctl(item));
        return definition;
    }
}
