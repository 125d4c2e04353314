package dev.mdev.core.bus;

import dev.mdev.core.elastic.ElasticOptions;
import dev.mdev.core.store.StateFiles;

import java.time.Duration;
import java.util.Map;

/// The options of a bus.
///
/// @param callDeadline the time after which a running callback of a driver counts as stuck
/// @param slowCallback the duration from which a finished callback is reported as slow
/// @param observer receives events and reports
/// @param maxDefinitions the maximum number of definitions, 1 to 32768
/// @param elastic how elastic shares are served
/// @param elasticOf the same for some parents, by name
public record BusOptions(
        Duration callDeadline,
        Duration slowCallback,
        MdevObserver observer,
        int maxDefinitions,
        ElasticOptions elastic,
        Map<String, ElasticOptions> elasticOf) {
    private static final int MAX_DEFINITIONS = 4096;

    public BusOptions {
        elasticOf = Map.copyOf(elasticOf);
        if (!callDeadline.isPositive()
                || slowCallback.isNegative()
                || maxDefinitions < 1
                || maxDefinitions > StateFiles.MAX_NAMES / 2) {
            throw new IllegalArgumentException(
                    "callDeadline=%s slowCallback=%s maxDefinitions=%d"
                            .formatted(callDeadline, slowCallback, maxDefinitions));
        }
    }

    /// With the default for elastic shares.
    public BusOptions(
            Duration callDeadline,
            Duration slowCallback,
            MdevObserver observer,
            int maxDefinitions) {
        this(
                callDeadline,
                slowCallback,
                observer,
                maxDefinitions,
                ElasticOptions.DEFAULT,
                Map.of());
    }

    /// Allows 4096 definitions.
    public BusOptions(Duration callDeadline, Duration slowCallback, MdevObserver observer) {
        this(callDeadline, slowCallback, observer, MAX_DEFINITIONS);
    }

    /// Reports callbacks that take more than a tenth of the deadline, and allows 4096 definitions.
    public static BusOptions of(Duration callDeadline, MdevObserver observer) {
        return new BusOptions(callDeadline, callDeadline.dividedBy(10), observer);
    }

    /// The same with other options for elastic shares.
    public BusOptions with(ElasticOptions other) {
        return new BusOptions(
                callDeadline, slowCallback, observer, maxDefinitions, other, elasticOf);
    }

    /// How a parent's elastic shares are served.
    public ElasticOptions elasticOf(String parent) {
        return elasticOf.getOrDefault(parent, elastic);
    }
}
