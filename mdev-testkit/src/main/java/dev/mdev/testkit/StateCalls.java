package dev.mdev.testkit;

import dev.mdev.api.DeviceState;
import dev.mdev.api.MdevDevice;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/// Stops, saves, restores and resumes a device, in the order of [DeviceState].
final class StateCalls {
    private final InMemoryHost host;
    private final MdevDevice device;
    private final Callbacks callbacks;
    private final StepGate steps;
    private final RungDoorbells doorbells;

    /// Whether the driver has been stopped and not yet resumed; changed in callbacks.
    private volatile boolean stopped;

    StateCalls(
            InMemoryHost host,
            MdevDevice device,
            Callbacks callbacks,
            StepGate steps,
            RungDoorbells doorbells) {
        this.host = host;
        this.device = device;
        this.callbacks = callbacks;
        this.steps = steps;
        this.doorbells = doorbells;
    }

    /// Stops the device, if it has a state and is not stopped yet.
    void stop() {
        bringToRest();
        steps.still(
                "stop", () -> callbacks.run("stop", () -> device.state().ifPresent(this::stop)));
    }

    /// Waits, while steps and callbacks go on, until the device has finished what it cannot stop.
    private void bringToRest() {
        if (stopped) {
            return;
        }
        CompletableFuture<Void> rest = new CompletableFuture<>();
        callbacks.run(
                "quiesce",
                () ->
                        device.state()
                                .map(DeviceState::quiesce)
                                .orElseGet(() -> CompletableFuture.completedStage(null))
                                .whenComplete((_, thrown) -> {
                                    if (thrown == null) {
                                        rest.complete(null);
                                    } else {
                                        rest.completeExceptionally(thrown);
                                    }
                                }));
        try {
            rest.get(host.patience().toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            throw host.violation(
                    "quiesce has not completed within %d ms".formatted(host.patience().toMillis()));
        } catch (ExecutionException e) {
            throw host.violation("quiesce failed: " + e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
    }

    private void stop(DeviceState state) {
        if (!stopped) {
            state.stop();
            stopped = true;
            steps.hold("stop");
        }
    }

    /// Whether the driver has been stopped and not yet resumed.
    boolean isStopped() {
        return stopped;
    }

    void resume() {
        callbacks.run("resume", () -> device.state().ifPresent(this::resume));
    }

    private void resume(DeviceState state) {
        if (stopped) {
            stopped = false;
            steps.release();
            state.resume();
            doorbells.ringAll();
        }
    }

    /// The state of the stopped device, if it has one.
    Optional<InMemoryMdev.Saved> save(Supplier<byte[]> pages, ElasticShares elastic) {
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
                                    state.get().version(),
                                    bytes.toByteArray(),
                                    pages.get(),
                                    elastic.read()));
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
