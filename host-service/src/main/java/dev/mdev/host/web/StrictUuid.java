package dev.mdev.host.web;

import org.springframework.boot.jackson.JacksonComponent;
import org.springframework.web.bind.WebDataBinder;
import org.springframework.web.bind.annotation.ControllerAdvice;
import org.springframework.web.bind.annotation.InitBinder;

import tools.jackson.core.JsonParser;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.deser.std.StdScalarDeserializer;

import java.beans.PropertyEditorSupport;
import java.util.UUID;
import java.util.regex.Pattern;

/// Reads UUIDs in their one usual form. The JDK's reader also accepts `1-1-1-1-1`, and the JSON
/// reader accepts Base64: two names for one object.
public final class StrictUuid {
    private static final Pattern FORM =
            Pattern.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");

    private StrictUuid() {}

    /// Whether a text is a UUID in its usual form.
    public static boolean isUuid(String text) {
        return FORM.matcher(text).matches();
    }

    /// For paths and parameters. An editor, because after a refusing converter Spring would fall
    /// back to its own, lenient one.
    @ControllerAdvice
    static final class OfPath {
        @InitBinder
        void register(WebDataBinder binder) {
            binder.registerCustomEditor(UUID.class, new Editor());
        }
    }

    private static final class Editor extends PropertyEditorSupport {
        @Override
        public void setAsText(String text) {
            if (!isUuid(text)) {
                throw new IllegalArgumentException("not a UUID");
            }
            setValue(UUID.fromString(text));
        }
    }

    /// For bodies.
    @JacksonComponent
    static final class OfJson extends StdScalarDeserializer<UUID> {
        OfJson() {
            super(UUID.class);
        }

        @Override
        public UUID deserialize(JsonParser parser, DeserializationContext context) {
            String text = parser.getValueAsString("");
            if (!parser.currentToken().isScalarValue() || !isUuid(text)) {
                return (UUID) context.handleWeirdStringValue(UUID.class, text, "not a UUID");
            }
            return UUID.fromString(text);
        }
    }
}
