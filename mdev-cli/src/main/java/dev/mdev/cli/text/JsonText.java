package dev.mdev.cli.text;

import tools.jackson.databind.JsonNode;

import java.util.Iterator;
import java.util.Map;

/// JSON for people and programs. All characters that a terminal could obey are escaped.
public final class JsonText {
    private static final String STEP = "  ";

    private JsonText() {}

    /// The value over several lines.
    public static String pretty(JsonNode value) {
        StringBuilder text = new StringBuilder();
        write(text, value, "\n");
        return text.toString();
    }

    /// The value on one line.
    public static String compact(JsonNode value) {
        StringBuilder text = new StringBuilder();
        write(text, value, "");
        return text.toString();
    }

    /// @param lineBreak a line break and the blanks of the level; empty for one line
    private static void write(StringBuilder to, JsonNode value, String lineBreak) {
        if (value.isObject()) {
            writeObject(to, value, lineBreak);
        } else if (value.isArray()) {
            writeArray(to, value, lineBreak);
        } else if (value.isString()) {
            quote(to, value.asString());
        } else {
            to.append(value);
        }
    }

    private static void writeObject(StringBuilder to, JsonNode value, String lineBreak) {
        Iterator<Map.Entry<String, JsonNode>> fields = value.properties().iterator();
        if (!fields.hasNext()) {
            to.append("{}");
            return;
        }
        String inner = deeper(lineBreak);
        char before = '{';
        while (fields.hasNext()) {
            Map.Entry<String, JsonNode> field = fields.next();
            to.append(before).append(inner);
            quote(to, field.getKey());
            to.append(inner.isEmpty() ? ":" : ": ");
            write(to, field.getValue(), inner);
            before = ',';
        }
        to.append(lineBreak).append('}');
    }

    private static void writeArray(StringBuilder to, JsonNode value, String lineBreak) {
        if (value.isEmpty()) {
            to.append("[]");
            return;
        }
        String inner = deeper(lineBreak);
        char before = '[';
        for (JsonNode item : value) {
            to.append(before).append(inner);
            write(to, item, inner);
            before = ',';
        }
        to.append(lineBreak).append(']');
    }

    private static String deeper(String lineBreak) {
        return lineBreak.isEmpty() ? "" : lineBreak + STEP;
    }

    /// Appends a string of JSON, which is also a double-quoted scalar of YAML.
    static void quote(StringBuilder to, String text) {
        to.append('"');
        text.codePoints()
                .forEach(point -> {
                    if (point == '"' || point == '\\') {
                        to.append('\\').append((char) point);
                    } else if (point == '\n') {
                        to.append("\\n");
                    } else if (point == '\t') {
                        to.append("\\t");
                    } else if (Printable.isRisky(point)) {
                        Printable.appendEscaped(to, point);
                    } else {
                        to.appendCodePoint(point);
                    }
                });
        to.append('"');
    }
}
