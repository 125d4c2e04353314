package dev.mdev.cli.verb;

import dev.mdev.cli.text.Fields;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

import java.util.List;

/// What mdevctl 1.4 prints with `--dumpjson`, so that its users keep their scripts.
final class MdevctlJson {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private MdevctlJson() {}

    /// mdevctl's list: one object with all parents, or nothing.
    static ArrayNode list(ObjectNode byParent) {
        ArrayNode list = JSON.arrayNode();
        return byParent.isEmpty() ? list : list.add(byParent);
    }

    /// Devices by their parents, each as a definition.
    static ArrayNode devices(List<JsonNode> mdevs) {
        ObjectNode byParent = JSON.objectNode();
        for (JsonNode mdev : mdevs) {
            String parent = Fields.text(mdev, "/parent");
            JsonNode known = byParent.get(parent);
            ArrayNode devices = known instanceof ArrayNode array ? array : JSON.arrayNode();
            byParent.set(parent, devices);
            devices.add(JSON.objectNode().set(Fields.text(mdev, "/uuid"), definition(mdev)));
        }
        return list(byParent);
    }

    /// A definition as in mdevctl's files.
    static ObjectNode definition(JsonNode mdev) {
        boolean starts = Fields.isTrue(mdev, "/state/autostart");
        ObjectNode definition =
                JSON.objectNode()
                        .put("mdev_type", Fields.text(mdev, "/type"))
                        .put("start", starts ? "auto" : "manual");
        definition.set("attrs", Attributes.toMdevctl(mdev));
        return definition;
    }
}
