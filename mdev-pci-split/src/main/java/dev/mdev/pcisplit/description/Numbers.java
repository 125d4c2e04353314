package dev.mdev.pcisplit.description;

import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Numbers in descriptions: `4096`, `0x1000` or `4KiB`.
final class Numbers {
    private static final Pattern FORM =
            Pattern.compile("(0x[0-9a-fA-F]{1,15}|[0-9]{1,18}) ?(KiB|MiB|GiB)?");

    private Numbers() {}

    static Optional<Long> parse(String text) {
        Matcher matcher = FORM.matcher(text);
        if (!matcher.matches()) {
            return Optional.empty();
        }
        String unit = matcher.group(2) == null ? "" : matcher.group(2);
        int shift =
                switch (unit) {
                    case "KiB" -> 10;
                    case "MiB" -> 20;
                    case "GiB" -> 30;
                    default -> 0;
                };
        String digits = matcher.group(1).toLowerCase(Locale.ROOT);
        long value =
                digits.startsWith("0x")
                        ? Long.parseLong(digits.substring(2), 16)
                        : Long.parseLong(digits);
        return value > Long.MAX_VALUE >> shift ? Optional.empty() : Optional.of(value << shift);
    }

    static String hex(long value) {
        return value < 10 ? Long.toString(value) : "0x" + Long.toHexString(value);
    }
}
