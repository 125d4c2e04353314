package dev.mdev.cli.verb;

import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Fields;

import picocli.CommandLine.Option;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
import java.util.List;

/// The option for settings of a device, and their two forms in JSON: the service's, objects with
/// `name` and `value`; and mdevctl's, objects with one field.
final class Attributes {
    @Option(
            names = "--attr",
            paramLabel = "NAME=VALUE",
            description = "A setting for the driver; repeat it for more, in their order.")
    private List<String> given = new ArrayList<>();

    /// The settings that the option gives, in the service's form.
    ///
    /// @throws Failure if one is malformed
    ArrayNode given() {
        ArrayNode list = JsonNodeFactory.instance.arrayNode();
        for (String text : given) {
            int equals = text.indexOf('=');
            if (equals < 1) {
                throw Failure.usage("attr=%s wanted=NAME=VALUE".formatted(text));
            }
            list.add(of(text.substring(0, equals), text.substring(equals + 1)));
        }
        return list;
    }

    /// Adds the settings to a request, if there are any.
    void addTo(ObjectNode request) {
        if (!given.isEmpty()) {
            request.set("attributes", given());
        }
    }

    /// A setting in the service's form.
    static ObjectNode of(String name, String value) {
        return JsonNodeFactory.instance.objectNode().put("name", name).put("value", value);
    }

    /// The settings of a device or definition of the service, in mdevctl's form.
    static ArrayNode toMdevctl(JsonNode from) {
        ArrayNode list = JsonNodeFactory.instance.arrayNode();
        for (JsonNode one : Fields.items(from, "/attributes")) {
            list.addObject().put(one.at("/name").asString(), one.at("/value").asString());
        }
        return list;
    }
}
