package dev.mdev.core.device;

import java.time.Duration;
import java.util.Optional;
import java.util.UUID;

/// Who has a device: a machine, usually. Whoever implements more than the name can be asked to
/// cooperate.
public interface DeviceHolder {
    /// The holder's name, for messages.
    String name();

    /// The device is to be removed: please let it go, by [MdevAssignment#close], within `grace`
    /// (VFIO's device request interrupt). Called by a thread of its own, once a removal; whether
    /// and when it returns does not matter.
    default void releaseRequested(UUID uuid, Duration grace) {}

    /// Stops the guest, so that the device stays as it is while the host saves or restores it.
    ///
    /// @return what lets the guest go on, once it is closed; nothing if the holder cannot do this
    default Optional<Pause> pause() {
        return Optional.empty();
    }

    /// A guest that is stopped.
    interface Pause extends AutoCloseable {
        /// Lets the guest go on.
        @Override
        void close();
    }

    /// A holder that has a name and does not cooperate.
    static DeviceHolder named(String name) {
        return () -> name;
    }
}
