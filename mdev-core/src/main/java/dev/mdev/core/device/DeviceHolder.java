package dev.mdev.core.device;

import java.time.Duration;
import java.util.Optional;
import java.util.UUID;

/// The holder of a device: usually a machine. An implementation of more than the name can
/// cooperate.
public interface DeviceHolder {
    /// The holder's name, for messages.
    String name();

    /// The device is about to be removed: please release it, by [MdevAssignment#close], within
    /// `grace` (VFIO's device request interrupt). Called on a thread of its own, once per removal;
    /// whether and when it returns does not matter.
    default void releaseRequested(UUID uuid, Duration grace) {}

    /// Pauses the guest, so that the device stays unchanged while the host saves or restores it.
    ///
    /// @return resumes the guest when it is closed; nothing if the holder cannot pause
    default Optional<Pause> pause() {
        return Optional.empty();
    }

    /// A paused guest.
    interface Pause extends AutoCloseable {
        /// Resumes the guest.
        @Override
        void close();
    }

    /// A holder that has only a name.
    static DeviceHolder named(String name) {
        return () -> name;
    }
}
