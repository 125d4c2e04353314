package dev.mdev.core.bus;

import java.io.IOException;
import java.io.OutputStream;

/// A device that does nothing, so that its state can be saved. It continues when this is closed.
/// One thread.
public interface StoppedDevice extends AutoCloseable {
    /// Writes its state, as [MdevBus#save].
    ///
    /// @param out stays open
    /// @return bytes written
    /// @throws IOException if the stream fails
    /// @throws dev.mdev.api.MdevException EBUSY if it changed hands, ENODEV if it was removed;
    ///   otherwise the driver's error
    long save(OutputStream out) throws IOException;

    /// Lets the device continue.
    ///
    /// @throws dev.mdev.api.MdevException the driver's error
    @Override
    void close();
}
