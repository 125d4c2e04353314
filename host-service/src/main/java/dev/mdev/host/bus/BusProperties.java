package dev.mdev.host.bus;

import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevObserver;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

/// What the operator may set of devices and guests.
///
/// @param engine who runs the guests: an engine's name, or `auto` for the best one that works here
/// @param driverDeadline the longest that a callback of a driver may take before callers give up
///   waiting for their turn and the device is shown as overdue
/// @param slowCallback from how long on a callback that returned is reported as slow; a tenth of
///   the deadline if absent
/// @param stateDir where definitions and the journal are; nothing is remembered beyond the process
///   if absent
/// @param maxMemory the most memory outside the Java heap: RAM of machines, and apertures that
///   drivers have from the host, together
/// @param maxDefinitions how many definitions there may be
/// @param pluginDir a folder with drivers as jars, each of which gets a class loader of its own
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
        @Nullable Map<String, Map<String, String>> drivers) {

    /// How the bus is to behave.
    BusOptions options(MdevObserver observer) {
        BusOptions usual = BusOptions.of(driverDeadline, observer);
        return new BusOptions(
                driverDeadline,
                slowCallback == null ? usual.slowCallback() : slowCallback,
                usual.keptEvents(),
                observer,
                maxDefinitions);
    }

    /// The settings of all drivers, by their names.
    Map<String, Map<String, String>> settings() {
        return drivers == null ? Map.of() : drivers;
    }

    /// The settings of one driver.
    Map<String, String> settingsOf(String driver) {
        return settings().getOrDefault(driver, Map.of());
    }
}
