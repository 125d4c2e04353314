package dev.mdev.api;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/// The state of a device outside its pages, so that the device can be moved: registers, queues,
/// work in progress. The host saves and restores the content of the device's pages.
///
/// The host calls all methods while the guest is paused and no other callback runs, in this order:
///
///     here:   stop, save, the host copies the pages, then close, or resume if the guest stays
///     there:  create, stop, the host fills the pages, restore, resume once a guest has it
///
/// Between stop and resume the host may also reset the device, save it again, or close it.
public interface DeviceState {
    /// Stops the device's own activity: when this returns, and until [#resume], it touches neither
    /// its pages nor guest memory, and raises no interrupt. A device without a thread of its own
    /// keeps the default.
    default void stop() {}

    /// Lets the device work again, with the work that was in progress at the stop or save.
    default void resume() {}

    /// The version of the format that [#save] writes: at least 1, and raised when the format
    /// changes.
    int version();

    /// Writes the state.
    void save(DataOutput out) throws IOException;

    /// Restores what [#save] wrote, on this host or another, into a device of the same type.
    ///
    /// @param version the version that wrote it
    /// @throws IOException if the bytes are invalid; the host then resets the device
    /// @throws MdevException EINVAL for an unknown version
    void restore(int version, DataInput in) throws IOException;
}
