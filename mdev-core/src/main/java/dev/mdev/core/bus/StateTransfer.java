package dev.mdev.core.bus;

import dev.mdev.api.DeviceState;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Assignment;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.devicestate.StateHeader;
import dev.mdev.core.devicestate.StateReader;
import dev.mdev.core.devicestate.StateSection;
import dev.mdev.core.devicestate.StateWriter;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;

/// Saves and restores devices.
///
/// The device must be inactive meanwhile: it is idle, or its holder pauses the guest. All its pages
/// are saved, including those that no guest ever had, because the driver may have written to them.
/// Zero pages, which is their initial content, are left out.
final class StateTransfer {
    private final BusContext bus;

    StateTransfer(BusContext bus) {
        this.bus = bus;
    }

    /// The right to work on an inactive device, until it is closed.
    private interface PausedDevice extends AutoCloseable {
        @Override
        void close();
    }

    /// A paused guest continues as soon as a removal takes the claim over.
    private static PausedDevice pause(Mdev mdev, VerbLocks.Claim claim) {
        Assignment assignment = mdev.assignment();
        String what = claim.what();
        Optional<DeviceHolder> holder = assignment.holder();
        if (holder.isEmpty()) {
            assignment.beginWork(what);
            return assignment::endWork;
        }
        DeviceHolder.Pause pause =
                holder.get()
                        .pause()
                        .orElseThrow(() ->
                                new MdevException(
                                        Errno.EBUSY,
                                        "mdev=%s is assigned to %s, which does not stop"
                                                .formatted(mdev.uuid(), holder.get().name())));
        try {
            assignment.beginWorkFor(holder.get(), what);
        } catch (RuntimeException | Error e) {
            pause.close();
            throw e;
        }
        AtomicBoolean paused = new AtomicBoolean(true);
        Runnable goOn =
                () -> {
                    if (paused.getAndSet(false)) {
                        pause.close();
                    }
                };
        claim.whenTaken(goOn);
        return () -> {
            assignment.endWork();
            goOn.run();
        };
    }

    private Mdev activeDevice(UUID uuid) {
        return bus.registry()
                .find(uuid)
                .filter(entry -> entry.activity() == Activity.ACTIVE && entry.mdev() != null)
                .map(Registry.Entry::required)
                .orElseThrow(() -> new MdevException(Errno.ENODEV, "mdev=" + uuid));
    }

    /// Writes a device's state.
    ///
    /// @return bytes written
    long save(UUID uuid, OutputStream out) throws IOException {
        try (StoppedDevice stopped = stop(uuid)) {
            return stopped.save(out);
        }
    }

    /// @throws MdevException EOPNOTSUPP if the driver saves no devices
    void requireSavable(Mdev mdev) {
        var _ = stateOf(mdev);
    }

    /// Stops a device to save it.
    StoppedDevice stop(UUID uuid) {
        VerbLocks.Claim claim = bus.claims().claimYielding(uuid, "saved", Errno.EAGAIN);
        try {
            Mdev mdev = activeDevice(uuid);
            PausedDevice paused = pause(mdev, claim);
            try {
                return new Stopped(mdev, claim, paused);
            } catch (RuntimeException | Error e) {
                paused.close();
                throw e;
            }
        } catch (RuntimeException | Error e) {
            claim.close();
            throw e;
        }
    }

    private final class Stopped implements StoppedDevice {
        private final Mdev mdev;
        private final VerbLocks.Claim claim;
        private final PausedDevice paused;
        private final Optional<String> holder;
        private final DeviceState state;

        /// Whether the device did something before.
        private final boolean goesOn;

        Stopped(Mdev mdev, VerbLocks.Claim claim, PausedDevice paused) {
            this.mdev = mdev;
            this.claim = claim;
            this.paused = paused;
            holder = mdev.holder();
            state = stateOf(mdev);
            goesOn = stop(mdev, state);
        }

        @Override
        public long save(OutputStream out) throws IOException {
            CountingOutput counted = new CountingOutput(out);
            StateTransfer.save(mdev, state, new StateWriter(counted));
            if (!mdev.holder().equals(holder)) {
                throw new MdevException(
                        Errno.EBUSY, "mdev=%s changed hands while saved".formatted(mdev.uuid()));
            }
            claim.requireNotLost();
            bus.observer().event(new MdevEvent.StateSaved(mdev.uuid(), counted.written));
            return counted.written;
        }

        @Override
        public void close() {
            try (claim;
                    paused) {
                if (goesOn) {
                    mdev.driver().resume(state);
                }
            }
        }
    }

    /// Stops a device, and removes its mappings.
    ///
    /// @return whether it was not stopped before
    private static boolean stop(Mdev mdev, DeviceState state) {
        boolean goesOn = !mdev.driver().isStopped();
        mdev.driver().stop(state);
        try {
            // Now: a device that does not stand still may touch its own regions.
            mdev.revokeAll();
        } catch (RuntimeException | Error e) {
            resumeAfter(e, mdev, state, goesOn);
            throw e;
        }
        return goesOn;
    }

    private static void resumeAfter(
            Throwable failure, Mdev mdev, DeviceState state, boolean goesOn) {
        try {
            if (goesOn) {
                mdev.driver().resume(state);
            }
        } catch (MdevException suppressed) {
            failure.addSuppressed(suppressed);
        }
    }

    @FunctionalInterface
    private interface Work {
        void run() throws IOException;
    }

    /// Runs an action while the device does nothing by itself.
    ///
    /// @param waits whether it continues only after its assignment; otherwise it continues at once,
    ///   unless it was already waiting
    private static void whileStopped(Mdev mdev, DeviceState state, boolean waits, Work work)
            throws IOException {
        boolean goesOn = stop(mdev, state);
        try {
            work.run();
        } catch (IOException | RuntimeException | Error e) {
            resumeAfter(e, mdev, state, goesOn);
            throw e;
        }
        if (goesOn && !waits) {
            mdev.driver().resume(state);
        }
    }

    private static void save(Mdev mdev, DeviceState state, StateWriter writer) throws IOException {
        byte[] driver = driverBytes(mdev, state);
        List<StateHeader.Pool> pools = DevicePages.poolsOf(mdev);
        writer.header(
                new StateHeader(
                        mdev.uuid(),
                        mdev.parent().driverName(),
                        mdev.type().id(),
                        mdev.driver().ask("version", _ -> versionOf(state)),
                        pools));
        for (int pool = 0; pool < pools.size(); pool++) {
            DevicePages.save(mdev, pool, writer);
        }
        writer.driver(driver);
        writer.end();
    }

    /// No host would take a state of another version.
    private static int versionOf(DeviceState state) {
        int version = state.version();
        if (version < 1) {
            throw new MdevException(Errno.EINVAL, "not a version of a state: " + version);
        }
        return version;
    }

    private static DeviceState stateOf(Mdev mdev) {
        return mdev.driver()
                .ask("state", MdevDevice::state)
                .orElseThrow(() ->
                        new MdevException(
                                Errno.EOPNOTSUPP,
                                "the driver saves no devices: mdev=" + mdev.uuid()));
    }

    private static byte[] driverBytes(Mdev mdev, DeviceState state) {
        return mdev.driver()
                .ask(
                        "save",
                        _ -> {
                            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                            OutputStream bounded = new BoundedOutput(bytes);
                            try (DataOutputStream data = new DataOutputStream(bounded)) {
                                state.save(data);
                            } catch (IOException e) {
                                throw new MdevException(Errno.EIO, "cannot be saved: " + e, e);
                            }
                            return bytes.toByteArray();
                        });
    }

    /// Restores a state into a device; the stream ends with the state. On a failure half-way, the
    /// device is reset and its pages are zero, as after its creation.
    ///
    /// The header is read first: a stream with a wrong beginning, or for another device, neither
    /// blocks the device nor pauses its guest.
    void restore(UUID uuid, InputStream in) throws IOException {
        StateReader reader = new StateReader(in);
        StateHeader header = fittingHeader(uuid, reader);
        try (VerbLocks.Claim claim = bus.claims().claimYielding(uuid, "restored", Errno.EAGAIN)) {
            Mdev mdev = activeDevice(uuid);
            // Another device may have the uuid by now.
            requireFitting(mdev, header);
            try (PausedDevice _ = pause(mdev, claim)) {
                DeviceState state = stateOf(mdev);
                // The device's work may need its guest: it continues when it has one.
                boolean waits = mdev.holder().isEmpty();
                whileStopped(mdev, state, waits, () -> restore(mdev, state, header, reader));
            }
            claim.requireNotLost();
            bus.observer().event(new MdevEvent.StateRestored(uuid, header.uuid()));
        }
    }

    private StateHeader fittingHeader(UUID uuid, StateReader reader) throws IOException {
        Mdev mdev = activeDevice(uuid);
        // A device without restore need not wait for a stream that it would refuse.
        var _ = stateOf(mdev);
        StateHeader header = reader.header();
        requireFitting(mdev, header);
        return header;
    }

    private static void requireFitting(Mdev mdev, StateHeader header) {
        List<StateHeader.Pool> mine = DevicePages.poolsOf(mdev);
        if (!header.driver().equals(mdev.parent().driverName())
                || !header.type().equals(mdev.type().id())
                || !header.pools().equals(mine)) {
            throw new MdevException(
                    Errno.EINVAL,
                    "the state of a driver=%s type=%s pools=%s is not for %s"
                            .formatted(header.driver(), header.type(), header.pools(), mdev));
        }
    }

    private void restore(Mdev mdev, DeviceState state, StateHeader header, StateReader reader)
            throws IOException {
        try {
            mdev.resetDriver();
            byte[] driver = readSections(mdev, reader);
            restoreDriver(mdev, state, header.stateVersion(), driver);
            // The last holder's content is gone, and the new content is for the next holder.
            mdev.assignment().markClean();
        } catch (IOException | RuntimeException | Error e) {
            resetAfterFailure(mdev, e);
            bus.observer().event(new MdevEvent.RestoreFailed(mdev.uuid(), e.toString()));
            throw e;
        }
    }

    /// Reads pages into place, sets the others to zero, and collects the driver's bytes.
    private static byte[] readSections(Mdev mdev, StateReader reader) throws IOException {
        ByteArrayOutputStream driver = new ByteArrayOutputStream();
        DevicePages cursor = new DevicePages(mdev);
        while (true) {
            switch (reader.next()) {
                case StateSection.Pages pages -> {
                    mdev.driver().requireAlive();
                    cursor.write(pages);
                }
                case StateSection.Driver part -> driver.writeBytes(part.content());
                case StateSection.End _ -> {
                    reader.requireEndOfStream();
                    cursor.finish();
                    return driver.toByteArray();
                }
            }
        }
    }

    private static void restoreDriver(Mdev mdev, DeviceState state, int version, byte[] driver) {
        mdev.changeUnmapped("restore", _ -> restoreInTurn(state, version, driver));
    }

    private static void restoreInTurn(DeviceState state, int version, byte[] driver) {
        ByteArrayInputStream bytes = new ByteArrayInputStream(driver);
        try {
            state.restore(version, new DataInputStream(bytes));
        } catch (IOException e) {
            throw new MdevException(Errno.EPROTO, "the driver cannot read its state: " + e, e);
        }
        if (bytes.available() > 0) {
            throw new MdevException(
                    Errno.EPROTO,
                    "the driver left %d bytes of its state".formatted(bytes.available()));
        }
    }

    private static void resetAfterFailure(Mdev mdev, Throwable because) {
        try {
            new DevicePages(mdev).finish();
            mdev.resetDriver();
        } catch (RuntimeException | Error e) {
            because.addSuppressed(e);
        }
    }

    /// Accepts as many bytes as a driver may write.
    private static final class BoundedOutput extends OutputStream {
        private final ByteArrayOutputStream bytes;

        BoundedOutput(ByteArrayOutputStream bytes) {
            this.bytes = bytes;
        }

        @Override
        public void write(int b) throws IOException {
            requireRoom(1);
            bytes.write(b);
        }

        @Override
        public void write(byte[] b, int offset, int length) throws IOException {
            requireRoom(length);
            bytes.write(b, offset, length);
        }

        private void requireRoom(int length) throws IOException {
            if (length > DeviceState.MAX_BYTES - bytes.size()) {
                throw new IOException("more than %d bytes".formatted(DeviceState.MAX_BYTES));
            }
        }
    }

    private static final class CountingOutput extends OutputStream {
        private final OutputStream out;
        private long written;

        CountingOutput(OutputStream out) {
            this.out = out;
        }

        @Override
        public void write(int b) throws IOException {
            out.write(b);
            written++;
        }

        @Override
        public void write(byte[] b, int offset, int length) throws IOException {
            out.write(b, offset, length);
            written += length;
        }

        @Override
        public void flush() throws IOException {
            out.flush();
        }
    }
}
