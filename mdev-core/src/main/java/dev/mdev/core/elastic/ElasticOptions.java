package dev.mdev.core.elastic;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/// How elastic shares are served.
///
/// @param stay a unit that was brought in stays at least so long, if it is not given up freely:
///   bounds what thrashing costs
/// @param maxRatio the most pages that all elastic shares on a pool may have together, in pools
/// @param storeFolder where the backing store makes its files, which nobody can open, and which
///   disappear with the process; in memory if empty
/// @param storeMaxBytes the most bytes of the backing store of one parent; room for all pages that
///   a device may have is reserved when it is created
/// @param encrypted whether the content in the store is encrypted, with a key that each device has
///   for its life
public record ElasticOptions(
        Duration stay,
        double maxRatio,
        Optional<Path> storeFolder,
        long storeMaxBytes,
        boolean encrypted) {
    /// In memory.
    public static final ElasticOptions DEFAULT =
            new ElasticOptions(Duration.ofMillis(10), 4.0, Optional.empty(), 1L << 30, false);

    public ElasticOptions {
        if (stay.isNegative()
                || stay.compareTo(Duration.ofSeconds(1)) > 0
                || !(maxRatio >= 1 && maxRatio <= 64)
                || storeMaxBytes < 0) {
            throw new IllegalArgumentException(
                    "stay=%s maxRatio=%s storeMaxBytes=%d"
                            .formatted(stay, maxRatio, storeMaxBytes));
        }
    }
}
