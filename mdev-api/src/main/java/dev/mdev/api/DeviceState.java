package dev.mdev.api;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/// The state of a device outside its pages, so that the device can be moved: registers, queues,
/// work in progress. The host saves and restores the content of the device's pages.
///
/// The host calls all methods while the guest is paused and no other callback runs, in this order:
///
///     here:   quiesce, stop, save, the host copies the pages, then close, or resume if the guest
///             stays
///     there:  create, quiesce, stop, the host fills the pages, restore, resume once a guest has it
///
/// Between stop and resume the host may also reset the device, save it again, or close it.
public interface DeviceState {
    /// The most bytes that [#save] may write.
    int MAX_BYTES = 16 << 20;

    /// Asks a device that cannot stop at once, such as hardware in the middle of a job, to come to
    /// rest. The host waits for the completion without the device's turn: callbacks, doorbells and
    /// steps go on, so that the device can finish. Then it calls [#stop].
    ///
    /// If this fails, or does not complete within the deadline of a callback, the host tells the
    /// operator, calls [#resume] instead, and gives up what it wanted to do.
    ///
    /// @return completes when the device has come to rest, on any thread; the default has
    default CompletionStage<Void> quiesce() {
        return CompletableFuture.completedStage(null);
    }

    /// Stops what the device does by itself: when this returns, and until [#resume], it touches
    /// neither its pages nor guest memory, and raises no interrupt. Not called again before
    /// [#resume]. A device without a thread of its own leaves this as it is.
    default void stop() {}

    /// Lets the device work again, with the work that was in progress at the stop or save. Also
    /// called if [#quiesce] fails or is late.
    default void resume() {}

    /// The version of the format that [#save] writes: at least 1, the default, and raised when the
    /// format changes.
    default int version() {
        return 1;
    }

    /// Writes the state: at most [#MAX_BYTES] bytes.
    ///
    /// @throws IOException if the host takes no more; let it pass
    void save(DataOutput out) throws IOException;

    /// Sets the state to what [#save] wrote, on this host or another, into a device of the same
    /// type. The host has reset the device and filled its pages. All bytes are to be read: if some
    /// are left, the host takes the state for one that makes no sense.
    ///
    /// @param version the version that wrote it
    /// @throws IOException if the bytes are invalid; the host then resets the device
    /// @throws MdevException EINVAL for an unknown version
    void restore(int version, DataInput in) throws IOException;
}
