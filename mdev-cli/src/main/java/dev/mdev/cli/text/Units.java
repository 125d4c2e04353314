package dev.mdev.cli.text;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.Duration;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Sizes and durations as people write them.
public final class Units {
    private static final String[] SIZES = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    private static final int STEP = 1024;
    private static final int PAGE_BYTES = 4096;
    private static final Pattern DURATION = Pattern.compile("([0-9]{1,9})(ms|s|m|h)");

    private Units() {}

    /// A size, such as `64 MiB` or `1.5 GiB`.
    public static String bytes(long sizeBytes) {
        if (sizeBytes < 0) {
            return sizeBytes + " B";
        }
        int unit = 0;
        BigDecimal size = BigDecimal.valueOf(sizeBytes);
        while (size.compareTo(BigDecimal.valueOf(STEP)) >= 0 && unit < SIZES.length - 1) {
            size = size.divide(BigDecimal.valueOf(STEP));
            unit++;
        }
        BigDecimal shown = size.setScale(1, RoundingMode.HALF_UP).stripTrailingZeros();
        return shown.toPlainString() + " " + SIZES[unit];
    }

    /// The size of some pages of 4096 bytes.
    public static String pages(long npages) {
        return npages < 0 || npages > Long.MAX_VALUE / PAGE_BYTES
                ? npages + " pages"
                : bytes(npages * PAGE_BYTES);
    }

    /// A number with one digit after the point.
    public static String tenths(double value) {
        return Double.isFinite(value)
                ? BigDecimal.valueOf(value).setScale(1, RoundingMode.HALF_UP).toPlainString()
                : Fields.NONE;
    }

    /// Reads `500ms`, `10s`, `2m` or `1h`.
    public static Optional<Duration> duration(String text) {
        Matcher parts = DURATION.matcher(text);
        if (!parts.matches()) {
            return Optional.empty();
        }
        long amount = Long.parseLong(parts.group(1));
        return Optional.of(
                switch (parts.group(2)) {
                    case "ms" -> Duration.ofMillis(amount);
                    case "s" -> Duration.ofSeconds(amount);
                    case "m" -> Duration.ofMinutes(amount);
                    default -> Duration.ofHours(amount);
                });
    }

    /// The duration as `10s` or `250ms`.
    public static String text(Duration duration) {
        return duration.toMillisPart() == 0
                ? duration.toSeconds() + "s"
                : duration.toMillis() + "ms";
    }
}
