package dev.mdev.host.bus;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

import java.time.Duration;
import java.util.Map;

/// What the operator may set of devices and guests.
///
/// @param engine who runs the guests: an engine's name, or `auto` for the best one that works here
/// @param driverDeadline the longest that a callback of a driver may take before callers give up
///   waiting for their turn and the device is shown as overdue
/// @param drivers settings of each driver, by its name
@ConfigurationProperties("mdev")
public record BusProperties(
        @DefaultValue("auto") String engine,
        @DefaultValue("5s") Duration driverDeadline,
        @Nullable Map<String, Map<String, String>> drivers) {

    /// The settings of one driver.
    Map<String, String> settingsOf(String driver) {
        return drivers == null ? Map.of() : drivers.getOrDefault(driver, Map.of());
    }
}
