package dev.mdev.testkit;

import dev.mdev.api.DeviceState;
import dev.mdev.api.MdevDevice;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Optional;

/// Stops, saves, restores and resumes a device, in the order of [DeviceState].
final class StateCalls {
    private final InMemoryHost host;
    private final MdevDevice device;
    private final Callbacks callbacks;
    private final StepGate steps;

    /// Whether the driver has been stopped and not yet resumed; changed in callbacks.
    private boolean stopped;

    StateCalls(InMemoryHost host, MdevDevice device, Callbacks callbacks, StepGate steps) {
        this.host = host;
        this.device = device;
        this.callbacks = callbacks;
        this.steps = steps;
    }

    /// Stops the device, if it has a state and is not stopped yet.
    void stop() {
        steps.still(
                "stop", () -> callbacks.run("stop", () -> device.state().ifPresent(this::stop)));
    }

    private void stop(DeviceState state) {
        if (!stopped) {
            state.stop();
            stopped = true;
            steps.hold("stop");
        }
    }

    void resume() {
        callbacks.run("resume", () -> device.state().ifPresent(this::resume));
    }

    private void resume(DeviceState state) {
        if (stopped) {
            stopped = false;
            steps.release();
            state.resume();
        }
    }

    /// The state of the stopped device, if it has one.
    Optional<InMemoryMdev.Saved> save(SharePages pages) {
        return callbacks.call(
                "save",
                () -> {
                    Optional<DeviceState> state = device.state();
                    if (state.isEmpty()) {
                        return Optional.empty();
                    }
                    SavedBytes bytes = new SavedBytes(host);
                    state.get().save(new DataOutputStream(bytes));
                    return Optional.of(
                            new InMemoryMdev.Saved(
                                    state.get().version(), bytes.toByteArray(), pages.read()));
                });
    }

    /// Restores the driver's part of a state. In a callback.
    ///
    /// @return whether the driver accepted it
    boolean tryRestore(InMemoryMdev.Saved saved) {
        ByteArrayInputStream bytes = new ByteArrayInputStream(saved.state());
        try {
            device.state().orElseThrow().restore(saved.version(), new DataInputStream(bytes));
            return bytes.available() == 0;
        } catch (IOException e) {
            return false;
        }
    }
}
