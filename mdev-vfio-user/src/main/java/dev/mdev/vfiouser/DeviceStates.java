package dev.mdev.vfiouser;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.UUID;

/// Saves and restores devices: the verbs of the bus.
public interface DeviceStates {
    /// No device can be saved.
    DeviceStates NONE =
            new DeviceStates() {
                @Override
                public boolean isOffered() {
                    return false;
                }

                @Override
                public void save(UUID uuid, OutputStream out) throws IOException {
                    throw new IOException("not offered");
                }

                @Override
                public void restore(UUID uuid, InputStream in) throws IOException {
                    throw new IOException("not offered");
                }
            };

    /// Whether devices can be saved and restored at all.
    default boolean isOffered() {
        return true;
    }

    /// Writes a device's state.
    void save(UUID uuid, OutputStream out) throws IOException;

    /// Reads a device's state.
    void restore(UUID uuid, InputStream in) throws IOException;
}
