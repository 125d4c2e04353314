package dev.mdev.host.machine;

import dev.mdev.core.memslot.SmmDesign;

import org.springframework.boot.jackson.JacksonComponent;

import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.deser.std.StdScalarDeserializer;

import java.util.Arrays;
import java.util.Optional;

/// The system management mode of a new machine: one of the words of [SmmDesign]; `true` is short
/// for the design that Linux has, `false` for `off`.
record SmmOption(SmmDesign design) {
    private static Optional<SmmOption> of(String word) {
        return Arrays.stream(SmmDesign.values())
                .filter(design -> design.toString().equals(word))
                .findFirst()
                .map(SmmOption::new);
    }

    /// Reads an option.
    @JacksonComponent
    static final class Reader extends StdScalarDeserializer<SmmOption> {
        Reader() {
            super(SmmOption.class);
        }

        @Override
        public SmmOption deserialize(JsonParser parser, DeserializationContext context) {
            JsonToken token = parser.currentToken();
            if (token == JsonToken.VALUE_TRUE || token == JsonToken.VALUE_FALSE) {
                return new SmmOption(
                        token == JsonToken.VALUE_TRUE ? SmmDesign.ADDRESS_SPACE : SmmDesign.NONE);
            }
            if (token == JsonToken.VALUE_STRING) {
                String word = parser.getString();
                return of(word).orElseGet(() ->
                        (SmmOption)
                                context.handleWeirdStringValue(
                                        SmmOption.class, word, "off, address-space or slot-flag"));
            }
            return (SmmOption) context.handleUnexpectedToken(SmmOption.class, parser);
        }
    }
}
