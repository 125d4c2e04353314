package dev.mdev.vfiouser;

import dev.mdev.api.DeviceState;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;

/// The migration of a device: its states (Linux `enum vfio_device_mig_state`), and the stream of
/// its state, which is that of a device that an operator saves.
///
/// Used by the session's thread. A thread of its own saves or restores, because the client takes
/// and gives the stream piece by piece.
final class Migration implements AutoCloseable {
    static final int ERROR = 0;
    static final int STOP = 1;
    static final int RUNNING = 2;
    static final int STOP_COPY = 3;
    static final int RESUMING = 4;

    private static final int DATA_HEAD_BYTES = 8;
    private static final Duration PATIENCE = Duration.ofSeconds(3);

    private final Mdev mdev;
    private final DeviceStates states;
    private final byte[] piece = new byte[Wire.MAX_DATA_BYTES];
    private volatile int state = RUNNING;
    private @Nullable Transfer transfer;

    Migration(Mdev mdev, DeviceStates states) {
        this.mdev = mdev;
        this.states = states;
    }

    /// A save or restore in progress.
    private static final class Transfer {
        private final StatePipe pipe = new StatePipe();
        private volatile boolean failed;
        private final Thread thread;

        Transfer(String name, Work work) {
            thread =
                    Thread.ofPlatform()
                            .daemon()
                            .name(name)
                            .start(() -> {
                                try {
                                    work.run(pipe);
                                    pipe.end();
                                } catch (IOException | RuntimeException e) {
                                    failed = true;
                                    pipe.abort();
                                }
                            });
        }

        /// @return whether it ended
        boolean join() {
            try {
                return thread.join(PATIENCE);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return false;
            }
        }
    }

    @FunctionalInterface
    private interface Work {
        void run(StatePipe pipe) throws IOException;
    }

    /// Whether the device can be migrated.
    boolean isSupported() {
        return states.isOffered() && driverState() != null;
    }

    private @Nullable DeviceState driverState() {
        return mdev.driver().ask("state", MdevDevice::state).orElse(null);
    }

    private DeviceState requiredState() {
        DeviceState known = driverState();
        if (known == null) {
            throw new MdevException(Errno.EINVAL, "the driver saves no devices: " + mdev);
        }
        return known;
    }

    /// The state now.
    int state() {
        return state;
    }

    /// Whether the device stands still, so that it can be saved or restored.
    boolean isStandingStill() {
        return state == STOP || state == STOP_COPY || state == RESUMING;
    }

    /// @throws MdevException EINVAL while the device's content is being saved or restored
    void requireAccessible() {
        if (state == STOP_COPY || state == RESUMING) {
            throw new MdevException(Errno.EINVAL, "the device is being migrated: state=" + state);
        }
    }

    /// Goes to a state, through those in between.
    ///
    /// @throws MdevException EINVAL if there is no way; otherwise the driver's error
    void go(int target) {
        if (target == state) {
            return;
        }
        if (state == ERROR || target < STOP || target > RESUMING) {
            throw new MdevException(
                    Errno.EINVAL, "no way from state=%d to state=%d".formatted(state, target));
        }
        if (state != STOP) {
            leave();
        }
        switch (target) {
            case RUNNING -> mdev.driver().resume(requiredState());
            case STOP_COPY ->
                    transfer =
                            new Transfer(
                                    "save " + mdev.uuid(),
                                    pipe -> states.save(mdev.uuid(), pipe.output()));
            case RESUMING ->
                    transfer =
                            new Transfer(
                                    "restore " + mdev.uuid(),
                                    pipe -> states.restore(mdev.uuid(), pipe.input()));
            default -> {
                // STOP, where it is.
            }
        }
        state = target;
    }

    /// Goes to STOP.
    private void leave() {
        switch (state) {
            case RUNNING -> mdev.driver().stop(requiredState());
            case STOP_COPY -> endTransfer(true);
            default -> endTransfer(false);
        }
        state = STOP;
    }

    /// @param abort whether what is not transferred yet is given up
    private void endTransfer(boolean abort) {
        Transfer now = transfer;
        transfer = null;
        if (now == null) {
            return;
        }
        if (abort) {
            now.pipe.abort();
        } else {
            now.pipe.end();
        }
        boolean ended = now.join();
        if (!ended || (now.failed && !abort)) {
            now.pipe.abort();
            state = ERROR;
            throw new MdevException(Errno.EIO, "the device was not restored: " + mdev);
        }
    }

    /// Gives the client the next piece of the state: fewer bytes than it asks for at the end.
    ///
    /// @return the length of the reply's body
    /// @throws MdevException EINVAL in another state than STOP_COPY
    long read(Message message, MemorySegment reply) {
        message.require(DATA_HEAD_BYTES);
        int size = sizeOf(message);
        Transfer now = transfer;
        if (state != STOP_COPY || now == null) {
            throw new MdevException(Errno.EINVAL, "nothing is saved: state=" + state);
        }
        int count;
        try {
            count = now.pipe.read(piece, 0, size, PATIENCE.toNanos());
        } catch (IOException e) {
            throw broken(e);
        }
        long at = Wire.HEADER_BYTES;
        Wire.u32(reply, at, DATA_HEAD_BYTES + (long) count);
        Wire.u32(reply, at + 4, count);
        MemorySegment.copy(piece, 0, reply, ValueLayout.JAVA_BYTE, at + DATA_HEAD_BYTES, count);
        return DATA_HEAD_BYTES + (long) count;
    }

    /// Takes the next piece of the state from the client.
    ///
    /// @throws MdevException EINVAL in another state than RESUMING
    void write(Message message) {
        message.require(DATA_HEAD_BYTES);
        int size = sizeOf(message);
        message.require(DATA_HEAD_BYTES + (long) size);
        Transfer now = transfer;
        if (state != RESUMING || now == null) {
            throw new MdevException(Errno.EINVAL, "nothing is restored: state=" + state);
        }
        MemorySegment.copy(
                message.memory(),
                ValueLayout.JAVA_BYTE,
                Message.inMemory(DATA_HEAD_BYTES),
                piece,
                0,
                size);
        try {
            now.pipe.write(piece, 0, size, PATIENCE.toNanos());
        } catch (IOException e) {
            throw broken(e);
        }
    }

    private static int sizeOf(Message message) {
        long size = message.u32(4);
        if (size > Wire.MAX_DATA_BYTES - DATA_HEAD_BYTES) {
            throw new MdevException(Errno.EINVAL, "size=" + size);
        }
        return (int) size;
    }

    private MdevException broken(IOException e) {
        Transfer now = transfer;
        transfer = null;
        if (now != null) {
            now.pipe.abort();
            var _ = now.join();
        }
        state = ERROR;
        return new MdevException(Errno.EIO, "the state is not transferred: " + mdev, e);
    }

    /// The device is being reset: it runs again afterwards.
    void reset() {
        Transfer now = transfer;
        transfer = null;
        if (now != null) {
            now.pipe.abort();
            var _ = now.join();
        }
        if (state != RUNNING) {
            DeviceState known = driverState();
            if (known != null) {
                mdev.driver().resume(known);
            }
            state = RUNNING;
        }
    }

    /// The client is gone.
    @Override
    public void close() {
        try {
            reset();
        } catch (MdevException e) {
            // It has ended, or its driver fails: the reset that follows finds that out.
            state = ERROR;
        }
    }
}
