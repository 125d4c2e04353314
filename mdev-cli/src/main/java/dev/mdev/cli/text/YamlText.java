package dev.mdev.cli.text;

import tools.jackson.databind.JsonNode;

import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/// YAML 1.2 that readers of YAML 1.1 understand in the same way: words that one of them takes for
/// something else than a string are quoted.
public final class YamlText {
    private static final Pattern PLAIN = Pattern.compile("[A-Za-z_/][A-Za-z0-9_./@+-]*");
    private static final Set<String> WORDS =
            Set.of("true", "false", "null", "yes", "no", "on", "off", "y", "n");

    private YamlText() {}

    /// The value over several lines, without a line break at its end.
    public static String of(JsonNode value) {
        StringBuilder text = new StringBuilder();
        if (isBlock(value)) {
            block(text, value, 0, true);
        } else {
            scalar(text, value);
        }
        return text.toString();
    }

    private static boolean isBlock(JsonNode value) {
        return value.isContainer() && !value.isEmpty();
    }

    /// @param inline whether the first line continues the line before
    private static void block(StringBuilder to, JsonNode value, int depth, boolean inline) {
        boolean first = inline;
        if (value.isObject()) {
            for (Map.Entry<String, JsonNode> field : value.properties()) {
                startLine(to, depth, first);
                first = false;
                key(to, field.getKey());
                to.append(':');
                member(to, field.getValue(), depth);
            }
        } else {
            for (JsonNode item : value) {
                startLine(to, depth, first);
                first = false;
                to.append("- ");
                if (isBlock(item)) {
                    block(to, item, depth + 1, true);
                } else {
                    scalar(to, item);
                }
            }
        }
    }

    private static void startLine(StringBuilder to, int depth, boolean inline) {
        if (!inline) {
            to.append('\n').repeat("  ", depth);
        }
    }

    private static void member(StringBuilder to, JsonNode value, int depth) {
        if (isBlock(value)) {
            block(to, value, value.isObject() ? depth + 1 : depth, false);
        } else {
            to.append(' ');
            scalar(to, value);
        }
    }

    private static void key(StringBuilder to, String name) {
        if (isPlain(name)) {
            to.append(name);
        } else {
            JsonText.quote(to, name);
        }
    }

    private static void scalar(StringBuilder to, JsonNode value) {
        if (value.isString()) {
            key(to, value.asString());
        } else if (value.isArray()) {
            to.append("[]");
        } else if (value.isObject()) {
            to.append("{}");
        } else {
            to.append(value);
        }
    }

    private static boolean isPlain(String text) {
        return PLAIN.matcher(text).matches() && !WORDS.contains(text.toLowerCase(Locale.ROOT));
    }
}
