package dev.mdev.host;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
import java.util.List;

/// Values that nobody should send, for each field of a body and for each parameter.
final class HostileValues {
    private static final JsonMapper MAPPER = JsonMapper.shared();

    /// Values of JSON, as texts: some are not even JSON.
    private static final List<String> VALUES =
            List.of(
                    "null",
                    "true",
                    "-1",
                    "0",
                    "1.5",
                    "9223372036854775807",
                    "9223372036854775808",
                    "1e400",
                    "-0.0",
                    "\"\"",
                    "\" \"",
                    "\"..\"",
                    "\"../../etc/passwd\"",
                    "\"a\\u0000b\"",
                    "\"\\ud800\"",
                    "\"\\r\\nX-Forged: 1\"",
                    "\"%00%0a\"",
                    "\"0x10000000000000000\"",
                    "\"" + "A".repeat(20_000) + "\"",
                    "[]",
                    "[[[[[[]]]]]]",
                    "{}",
                    "{\"\":1}",
                    "[null]",
                    "NaN",
                    "'x'",
                    "");

    private static final List<String> TEXTS =
            List.of(
                    "",
                    "%20",
                    "-1",
                    "0",
                    "9999999999999999999",
                    "1e5",
                    "null",
                    "%00",
                    "%0d%0aX-Forged:1",
                    "%ff%fe",
                    "%",
                    "%zz",
                    "..",
                    "..%2f..",
                    "a/b",
                    "PT1000000000H",
                    "-5s",
                    "1d",
                    "true,false",
                    "%F0%9F%92%A3",
                    "{uuid}",
                    "${jndi:x}",
                    "A".repeat(3000));

    private HostileValues() {}

    /// Texts for a path or a query, encoded as a client would, or badly.
    static List<String> texts() {
        return TEXTS;
    }

    /// Variants of a body: each field in turn, at every depth, with each value, without it, and
    /// twice.
    static List<String> variants(JsonNode body) {
        List<String> found = new ArrayList<>(List.of("", "{", "[]", "null", "{} {}", "\"x\""));
        String whole = body.toString();
        collect(whole, body, found);
        if (body instanceof ObjectNode object) {
            found.add(object.deepCopy().put("unknown", 1).toString());
        }
        return found;
    }

    /// @param node a part of the body, which `whole` has as text
    private static void collect(String whole, JsonNode node, List<String> found) {
        for (var field : node.properties()) {
            String name = MAPPER.writeValueAsString(field.getKey());
            String member = name + ":" + field.getValue();
            for (String value : VALUES) {
                found.add(replaced(whole, member, name + ":" + value));
            }
            found.add(replaced(whole, member, member + "," + member));
            found.add(replaced(whole, member, "\"unknown\":1"));
            collect(whole, field.getValue(), found);
        }
        if (node instanceof ArrayNode array) {
            array.forEach(item -> collect(whole, item, found));
        }
    }

    private static String replaced(String whole, String member, String with) {
        int at = whole.indexOf(member);
        return whole.substring(0, at) + with + whole.substring(at + member.length());
    }
}
