package dev.mdev.cli.text;

import java.util.HexFormat;

/// Text that a terminal shows and does not obey. Names and details come from other programs: an
/// escape sequence among them could move the cursor, change the title, or hide what follows.
public final class Printable {
    private static final HexFormat HEX = HexFormat.of();

    private Printable() {}

    /// The text on one line. Escapes as in JSON stand for characters that a terminal could obey:
    /// controls, line breaks, marks of direction, halves of pairs.
    public static String of(String text) {
        if (isHarmless(text)) {
            return text;
        }
        StringBuilder safe = new StringBuilder(text.length() + 16);
        text.codePoints().forEach(point -> append(safe, point));
        return safe.toString();
    }

    private static boolean isHarmless(String text) {
        for (int i = 0; i < text.length(); i++) {
            char one = text.charAt(i);
            if (one < ' ' || one > '~') {
                return text.codePoints().noneMatch(Printable::isRisky);
            }
        }
        return true;
    }

    /// Whether a terminal could do something else with it than show it.
    static boolean isRisky(int point) {
        return switch (Character.getType(point)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR ->
                    true;
            default -> false;
        };
    }

    /// Appends the escape of Java and JSON for each of the point's one or two characters.
    static void appendEscaped(StringBuilder to, int point) {
        for (char one : Character.toChars(point)) {
            to.append("\\u").append(HEX.toHexDigits(one));
        }
    }

    private static void append(StringBuilder to, int point) {
        if (isRisky(point)) {
            appendEscaped(to, point);
        } else {
            to.appendCodePoint(point);
        }
    }
}
