package dev.mdev.host.parent;

import dev.mdev.core.bus.MdevStatus;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.UUID;

/// How a parent left.
///
/// @param mdevs the devices that were ended with it
record ParentExitView(String name, List<Ended> mdevs) {
    /// A device.
    ///
    /// @param holder its holder when the parent began to leave, if any
    record Ended(UUID uuid, @Nullable String holder) {
        static Ended of(MdevStatus status) {
            return new Ended(status.uuid(), status.holder().orElse(null));
        }
    }
}
