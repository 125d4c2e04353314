package dev.mdev.api;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/// What of a device is not in its pages, so that the device can be moved: registers, queues, work
/// under way. The content of the device's pages is saved and restored by the host.
///
/// All methods are called while the guest does not run and no other callback is under way, in this
/// order:
///
///     here:   stop, save, the host copies the pages, then close, or resume if the guest stays
///     there:  create, stop, the host fills the pages, restore, resume once a guest has it
///
/// Between stop and resume the device may also be reset, saved again, or closed.
public interface DeviceState {
    /// Stops what the device does by itself: when this returns, and until [#resume], it touches
    /// neither its pages nor guest memory, and raises no interrupt. A device without a thread of
    /// its own leaves this as it is.
    default void stop() {}

    /// Lets the device work again, with what was under way when it was stopped or saved.
    default void resume() {}

    /// The version of the format that [#save] writes: at least 1, and raised when the format
    /// changes.
    int version();

    /// Writes the state.
    void save(DataOutput out) throws IOException;

    /// Sets the state to what [#save] wrote, on this host or another, into a device of the same
    /// type.
    ///
    /// @param version the version that wrote it
    /// @throws IOException if the bytes make no sense; the device is then reset by the host
    /// @throws MdevException EINVAL for a version it does not know
    void restore(int version, DataInput in) throws IOException;
}
