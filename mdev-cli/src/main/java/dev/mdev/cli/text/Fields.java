package dev.mdev.cli.text;

import tools.jackson.databind.JsonNode;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Fields of an answer. An answer that lacks a field, or has another type there, is shown as far as
/// it goes: another version of the service may have sent it.
public final class Fields {
    /// What a table shows for nothing.
    public static final String NONE = "-";

    private Fields() {}

    /// The field as a word for people; [#NONE] if it is absent.
    ///
    /// @param pointer a JSON pointer
    public static String text(JsonNode answer, String pointer) {
        return word(answer.at(pointer));
    }

    private static String word(JsonNode value) {
        if (value.isMissingNode() || value.isNull()) {
            return NONE;
        }
        if (value.isBoolean()) {
            return value.asBoolean() ? "yes" : "no";
        }
        if (value.isContainer()) {
            return JsonText.compact(value);
        }
        String text = value.asString();
        return text.isEmpty() ? NONE : text;
    }

    /// The field as text, if it is there.
    public static Optional<String> optional(JsonNode answer, String pointer) {
        JsonNode value = answer.at(pointer);
        return value.isValueNode() && !value.isNull() && !value.asString().isEmpty()
                ? Optional.of(value.asString())
                : Optional.empty();
    }

    /// The field as a number; 0 if it is absent, no number, or out of range.
    public static long number(JsonNode answer, String pointer) {
        JsonNode value = answer.at(pointer);
        return value.canConvertToLong() ? value.asLong() : 0;
    }

    public static boolean isTrue(JsonNode answer, String pointer) {
        return answer.at(pointer).asBoolean(false);
    }

    /// The members of a list; none if it is absent.
    public static List<JsonNode> items(JsonNode answer, String pointer) {
        JsonNode value = answer.at(pointer);
        List<JsonNode> items = new ArrayList<>();
        if (value.isArray()) {
            value.forEach(items::add);
        }
        return items;
    }
}
