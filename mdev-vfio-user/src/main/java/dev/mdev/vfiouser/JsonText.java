package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.LinkedHashMap;
import java.util.Map;

/// Reads the JSON of a client (RFC 8259): objects become maps, numbers [Long] or [Double], and so
/// on. Text that is not JSON, is too deep, or has a name twice is refused.
final class JsonText {
    private static final int MAX_DEPTH = 8;

    private final String text;
    private int at;

    private JsonText(String text) {
        this.text = text;
    }

    /// Something without a value that anybody here asks for.
    enum Other {
        NULL,
        ARRAY
    }

    /// The object that the text is.
    ///
    /// @throws MdevException EINVAL if it is none
    static Map<String, Object> object(String text) {
        JsonText reader = new JsonText(text);
        reader.skipSpace();
        if (reader.peek() != '{') {
            throw reader.wrong();
        }
        Map<String, Object> object = reader.members(0);
        reader.skipSpace();
        if (reader.at != text.length()) {
            throw reader.wrong();
        }
        return object;
    }

    private MdevException wrong() {
        return new MdevException(Errno.EINVAL, "not JSON at character=" + at);
    }

    private char peek() {
        if (at >= text.length()) {
            throw wrong();
        }
        return text.charAt(at);
    }

    private char take() {
        char next = peek();
        at++;
        return next;
    }

    private void expect(char wanted) {
        if (take() != wanted) {
            at--;
            throw wrong();
        }
    }

    private void skipSpace() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private Object value(int depth) {
        if (depth > MAX_DEPTH) {
            throw wrong();
        }
        skipSpace();
        return switch (peek()) {
            case '{' -> members(depth);
            case '[' -> elements(depth);
            case '"' -> string();
            case 't' -> word("true", true);
            case 'f' -> word("false", false);
            case 'n' -> word("null", Other.NULL);
            default -> number();
        };
    }

    private Map<String, Object> members(int depth) {
        Map<String, Object> members = new LinkedHashMap<>();
        expect('{');
        skipSpace();
        if (peek() == '}') {
            at++;
            return members;
        }
        while (true) {
            skipSpace();
            String name = string();
            skipSpace();
            expect(':');
            if (members.put(name, value(depth + 1)) != null) {
                throw wrong();
            }
            skipSpace();
            if (peek() == '}') {
                at++;
                return members;
            }
            expect(',');
        }
    }

    private Other elements(int depth) {
        expect('[');
        skipSpace();
        if (peek() == ']') {
            at++;
            return Other.ARRAY;
        }
        while (true) {
            var _ = value(depth + 1);
            skipSpace();
            if (peek() == ']') {
                at++;
                return Other.ARRAY;
            }
            expect(',');
        }
    }

    private Object word(String word, Object meaning) {
        if (!text.startsWith(word, at)) {
            throw wrong();
        }
        at += word.length();
        return meaning;
    }

    private Object number() {
        int start = at;
        while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        String digits = text.substring(start, at);
        if (!digits.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")) {
            throw wrong();
        }
        try {
            return Long.valueOf(digits);
        } catch (NumberFormatException e) {
            return Double.valueOf(digits);
        }
    }

    private String string() {
        StringBuilder string = new StringBuilder();
        expect('"');
        while (true) {
            char next = take();
            if (next == '"') {
                return string.toString();
            }
            if (next < ' ') {
                throw wrong();
            }
            string.append(next == '\\' ? escaped() : next);
        }
    }

    private char escaped() {
        char kind = take();
        return switch (kind) {
            case '"', '\\', '/' -> kind;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> unicode();
            default -> throw wrong();
        };
    }

    private char unicode() {
        int value = 0;
        for (int i = 0; i < 4; i++) {
            int digit = Character.digit(take(), 16);
            if (digit < 0) {
                throw wrong();
            }
            value = value << 4 | digit;
        }
        return (char) value;
    }
}
