package dev.mdev.core.store;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/// The content of one line: a kind and named values, as `kind name=value name=value`.
///
/// A value is any text; bytes of its UTF-8 form other than letters, digits and `._:,;/+@-` are
/// written as `%xx`. Each value has exactly one encoding, and the reader refuses any other.
///
/// @param kind lower-case letters, digits and dashes
/// @param values in the order of the line; names are like kinds
public record JournalLine(String kind, Map<String, String> values) {
    private static final Pattern WORD = Pattern.compile("[a-z][a-z0-9-]{0,31}");
    private static final String PLAIN = "._:,;/+@-";

    public JournalLine {
        values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
        requireWord(kind);
        values.keySet().forEach(JournalLine::requireWord);
    }

    private static void requireWord(String word) {
        if (!WORD.matcher(word).matches()) {
            throw new MdevException(Errno.EINVAL, "not a word: " + word);
        }
    }

    /// A line without values.
    public static JournalLine of(String kind) {
        return new JournalLine(kind, Map.of());
    }

    /// This line with one more value.
    public JournalLine with(String name, Object value) {
        Map<String, String> more = new LinkedHashMap<>(values);
        if (more.put(name, value.toString()) != null) {
            throw new MdevException(Errno.EINVAL, "given twice: " + name);
        }
        return new JournalLine(kind, more);
    }

    /// A value.
    ///
    /// @throws MdevException EINVAL if it is absent
    public String get(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new MdevException(Errno.EINVAL, "%s has no %s".formatted(kind, name));
        }
        return value;
    }

    /// A value that is a decimal number, at least 0.
    ///
    /// @throws MdevException EINVAL if it is absent or not such a number
    public long number(String name) {
        String value = get(name);
        try {
            long number = Long.parseLong(value);
            if (number >= 0 && Long.toString(number).equals(value)) {
                return number;
            }
        } catch (NumberFormatException e) {
            throw new MdevException(
                    Errno.EINVAL, "not a number: %s %s=%s".formatted(kind, name, value), e);
        }
        throw new MdevException(
                Errno.EINVAL, "not a number from 0 up: %s %s=%s".formatted(kind, name, value));
    }

    /// A value that is one of an enum's constants, in lower case with dashes.
    ///
    /// @throws MdevException EINVAL if it is absent or not a constant
    public <E extends Enum<E>> E constant(String name, Class<E> type) {
        String value = get(name);
        for (E constant : type.getEnumConstants()) {
            if (wordOf(constant).equals(value)) {
                return constant;
            }
        }
        throw new MdevException(Errno.EINVAL, "not known: %s %s=%s".formatted(kind, name, value));
    }

    /// An enum's constant as [#constant] reads it.
    public static String wordOf(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /// @throws MdevException EINVAL if the line has a value of another name
    public void requireNoneBut(String... names) {
        if (!Set.of(names).containsAll(values.keySet())) {
            throw new MdevException(
                    Errno.EINVAL, "%s has unknown values: %s".formatted(kind, values.keySet()));
        }
    }

    /// The line, without an end-of-line character.
    public String encode() {
        StringBuilder line = new StringBuilder(kind);
        values.forEach((name, value) -> {
            line.append(' ').append(name).append('=');
            escape(value, line);
        });
        return line.toString();
    }

    private static void escape(String value, StringBuilder line) {
        for (byte b : value.getBytes(StandardCharsets.UTF_8)) {
            char c = (char) (b & 0xff);
            boolean plain =
                    (c >= 'a' && c <= 'z')
                            || (c >= 'A' && c <= 'Z')
                            || (c >= '0' && c <= '9')
                            || PLAIN.indexOf(c) >= 0;
            if (plain) {
                line.append(c);
            } else {
                line.append("%%%02x".formatted((int) c));
            }
        }
    }

    /// Reads the output of [#encode].
    ///
    /// @throws MdevException EINVAL for anything else
    public static JournalLine decode(String line) {
        String[] words = line.split(" ", -1);
        Map<String, String> values = new LinkedHashMap<>();
        for (int i = 1; i < words.length; i++) {
            int equals = words[i].indexOf('=');
            String name = equals < 0 ? "" : words[i].substring(0, equals);
            if (values.put(name, unescape(words[i].substring(equals + 1))) != null) {
                throw new MdevException(Errno.EINVAL, "given twice: " + name);
            }
        }
        JournalLine fields = new JournalLine(words[0], values);
        if (!fields.encode().equals(line)) {
            throw new MdevException(Errno.EINVAL, "not the canonical form of this line: " + line);
        }
        return fields;
    }

    private static String unescape(String escaped) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(escaped.length());
        for (int i = 0; i < escaped.length(); i++) {
            char c = escaped.charAt(i);
            if (c == '%') {
                int high =
                        i + 2 < escaped.length() ? Character.digit(escaped.charAt(i + 1), 16) : -1;
                int low = high < 0 ? -1 : Character.digit(escaped.charAt(i + 2), 16);
                if (low < 0) {
                    throw new MdevException(Errno.EINVAL, "bad escape in " + escaped);
                }
                bytes.write(high << 4 | low);
                i += 2;
            } else if (c < 0x80) {
                bytes.write(c);
            } else {
                throw new MdevException(Errno.EINVAL, "a character that is not ASCII");
            }
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes.toByteArray()))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new MdevException(Errno.EINVAL, "not UTF-8: " + escaped, e);
        }
    }
}
