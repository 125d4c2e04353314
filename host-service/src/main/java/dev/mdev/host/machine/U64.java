package dev.mdev.host.machine;

import org.springframework.boot.jackson.JacksonComponent;

import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.SerializationContext;
import tools.jackson.databind.deser.std.StdScalarDeserializer;
import tools.jackson.databind.ser.std.StdScalarSerializer;

import java.math.BigInteger;
import java.util.Locale;

/// An unsigned 64-bit number of a body. Read from a whole number or from a string, decimal or with
/// `0x`; written as a string with `0x`, because many JSON readers keep only 53 bits of a number.
///
/// @param bits the number, as a `long` of the same 64 bits
record U64(long bits) {
    private static final int MAX_DIGITS = 40;

    /// @throws NumberFormatException if the text is not such a number
    static U64 parse(String text) {
        if (text.length() > MAX_DIGITS) {
            throw new NumberFormatException("too long");
        }
        String lower = text.toLowerCase(Locale.ROOT);
        return new U64(
                lower.startsWith("0x")
                        ? Long.parseUnsignedLong(digits(lower.substring(2)), 16)
                        : Long.parseUnsignedLong(digits(lower)));
    }

    /// [Long#parseUnsignedLong] would accept a plus sign.
    private static String digits(String text) {
        if (text.startsWith("+")) {
            throw new NumberFormatException("a sign");
        }
        return text;
    }

    @Override
    public String toString() {
        return "0x" + Long.toHexString(bits);
    }

    /// Writes a number.
    @JacksonComponent
    static final class Writer extends StdScalarSerializer<U64> {
        Writer() {
            super(U64.class);
        }

        @Override
        public void serialize(U64 value, JsonGenerator generator, SerializationContext context) {
            generator.writeString(value.toString());
        }
    }

    /// Reads a number.
    @JacksonComponent
    static final class Reader extends StdScalarDeserializer<U64> {
        private static final BigInteger LIMIT = BigInteger.ONE.shiftLeft(Long.SIZE);

        Reader() {
            super(U64.class);
        }

        @Override
        public U64 deserialize(JsonParser parser, DeserializationContext context) {
            if (parser.currentToken() == JsonToken.VALUE_NUMBER_INT) {
                BigInteger number = parser.getBigIntegerValue();
                if (number.signum() < 0 || number.compareTo(LIMIT) >= 0) {
                    return (U64)
                            context.handleWeirdNumberValue(
                                    U64.class, number, "not an unsigned 64-bit number");
                }
                return new U64(number.longValue());
            }
            if (parser.currentToken() == JsonToken.VALUE_STRING) {
                String text = parser.getString();
                try {
                    return U64.parse(text);
                } catch (NumberFormatException e) {
                    return (U64)
                            context.handleWeirdStringValue(
                                    U64.class, text, "not an unsigned 64-bit number");
                }
            }
            return (U64) context.handleUnexpectedToken(U64.class, parser);
        }
    }
}
