package dev.mdev.host.mdev;

import dev.mdev.core.bus.RemovalReport;

import org.jspecify.annotations.Nullable;

import java.util.UUID;

/// How a device was ended.
///
/// @param holder who had it, if somebody had
/// @param taken whether it was taken away from the holder, which did not let it go
/// @param driverTrouble what its driver said when it was closed, if that failed
record RemovalView(
        UUID uuid, @Nullable String holder, boolean taken, @Nullable String driverTrouble) {
    static RemovalView of(UUID uuid, RemovalReport report) {
        return new RemovalView(
                uuid, report.holder().orElse(null), report.taken(), report.trouble().orElse(null));
    }
}
