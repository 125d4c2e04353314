package dev.mdev.host.bus;

import dev.mdev.api.layout.ParentLayout;
import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.host.problem.Setting;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/// The operator's settings for devices and guests.
///
/// @param engine the engine's name, or `auto` for the best one that works here
/// @param driverDeadline the maximum time of a driver callback, before callers give up waiting for
///   their turn and the device is shown as overdue
/// @param slowCallback the duration from which a finished callback is reported as slow; a tenth of
///   the deadline if absent
/// @param stateDir the directory of definitions and the journal; if absent, nothing is remembered
///   beyond the process
/// @param maxMemory the maximum memory outside the Java heap: RAM of machines and apertures that
///   the host allocates for drivers, together
/// @param maxDefinitions the maximum number of definitions
/// @param pluginDir a folder with drivers as jars, each with a class loader of its own
/// @param requireParents the parents without which the service is not ready
/// @param elastic how elastic shares are served
/// @param drivers settings of each driver, by its name
@ConfigurationProperties("mdev")
public record BusProperties(
        @DefaultValue("auto") String engine,
        @DefaultValue("5s") Duration driverDeadline,
        @Nullable Duration slowCallback,
        @Nullable Path stateDir,
        @DefaultValue("8GB") DataSize maxMemory,
        @DefaultValue("4096") int maxDefinitions,
        @Nullable Path pluginDir,
        @DefaultValue List<String> requireParents,
        @DefaultValue ElasticProperties elastic,
        @Nullable Map<String, Map<String, String>> drivers) {
    public BusProperties {
        Setting.require(driverDeadline.isPositive(), "mdev.driver-deadline", driverDeadline);
        Setting.require(
                slowCallback == null || slowCallback.isPositive(),
                "mdev.slow-callback",
                String.valueOf(slowCallback));
        Setting.require(!maxMemory.isNegative(), "mdev.max-memory", maxMemory);
        Setting.require(maxDefinitions >= 0, "mdev.max-definitions", maxDefinitions);
        Setting.require(
                requireParents.stream().allMatch(ParentLayout::isParentName),
                "mdev.require-parents",
                requireParents);
    }

    /// The options of the bus.
    BusOptions options(MdevObserver observer) {
        BusOptions usual = BusOptions.of(driverDeadline, observer);
        return new BusOptions(
                driverDeadline,
                slowCallback == null ? usual.slowCallback() : slowCallback,
                observer,
                maxDefinitions,
                elastic.options(stateDir),
                elastic.optionsOfParents(stateDir));
    }

    /// The settings of all drivers, by their names.
    Map<String, Map<String, String>> settings() {
        return drivers == null ? Map.of() : drivers;
    }
}
