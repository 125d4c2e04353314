package dev.mdev.host.mdev;

import dev.mdev.core.bus.RemovalReport;

import org.jspecify.annotations.Nullable;

import java.util.UUID;

/// How a device ended.
///
/// @param holder its holder, if it had one
/// @param taken whether it was taken away from a holder that did not release it
/// @param driverTrouble the driver's error at its close, if that failed
public record RemovalView(
        UUID uuid, @Nullable String holder, boolean taken, @Nullable String driverTrouble) {
    static RemovalView of(UUID uuid, RemovalReport report) {
        return new RemovalView(
                uuid, report.holder().orElse(null), report.taken(), report.trouble().orElse(null));
    }
}
