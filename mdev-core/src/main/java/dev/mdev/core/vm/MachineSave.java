package dev.mdev.core.vm;

import dev.mdev.api.DeviceState;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.StoppedDevice;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.machinestate.MachineStateHeader;
import dev.mdev.core.machinestate.MachineStateSpool;
import dev.mdev.core.machinestate.MachineStateWriter;
import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.memslot.SmmDesign;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// Saves a machine while its guest runs (pre-copy): all pages of RAM, then again and again those
/// that were written meanwhile, until few are left; then a short stop for these, the devices and
/// the processors. The machine continues afterwards, also if the save fails.
///
/// The stop does not wait for the reader of the stream: what is copied in it goes to a file first.
/// It copies at most [#MAX_STOPPED_PAGES] of RAM, and the pages of the devices, which may write to
/// them without notice; the file takes no more.
///
/// The dirty log belongs to the save meanwhile.
public final class MachineSave {
    /// With so few written pages left, the guest stops: 4 MiB.
    private static final long FEW_PAGES = 1024;

    /// The maximum number of copies of RAM while the guest runs.
    private static final int MAX_ROUNDS = 30;

    /// The maximum number of pages of RAM that are copied while the guest stands still: 256 MiB.
    private static final long MAX_STOPPED_PAGES = 1 << 16;

    /// What frames a page in a stream at most.
    private static final long FRAME_BYTES = 64;

    /// Room for what the host keeps of a machine or a device beside pages and the driver's bytes,
    /// and for what frames these: 1 MiB.
    private static final long ROOM_FOR_THE_REST_BYTES = 1L << 20;

    /// How long the save waits for programs to leave a driver's callback.
    private static final Duration PATIENCE = Duration.ofSeconds(5);

    private final VirtualMachine machine;
    private final MdevBus bus;
    private final long maxStoppedPages;

    public MachineSave(VirtualMachine machine, MdevBus bus) {
        this(machine, bus, MAX_STOPPED_PAGES);
    }

    /// @param maxStoppedPages in place of [#MAX_STOPPED_PAGES]
    MachineSave(VirtualMachine machine, MdevBus bus, long maxStoppedPages) {
        this.machine = machine;
        this.bus = bus;
        this.maxStoppedPages = maxStoppedPages;
    }

    /// Writes the machine's state.
    ///
    /// @param out stays open
    /// @throws IOException if the stream fails
    /// @throws MdevException EOPNOTSUPP if a driver saves no devices; EBUSY if the dirty log is on,
    ///   a processor does not leave a driver's callback, or devices come or go; EAGAIN if the guest
    ///   writes faster than the stream takes; EFBIG if a device has more to save than its type
    ///   says, EIO or ENOSPC if the file for the stop fails; ESHUTDOWN if the machine is closed
    public SaveReport run(OutputStream out) throws IOException {
        machine.operations().begin();
        try {
            List<AttachedDevice> devices = machine.devices();
            devices.forEach(device -> bus.requireSavable(device.mdev()));
            try (MachineDirtyLog.Copying log = machine.dirtyLog().beginCopy();
                    MachineStateSpool spool = new MachineStateSpool(spoolBytes(devices))) {
                MachineStateWriter writer = MachineStateWriter.begin(out, header(devices));
                RamCopy ram = ramCopy(log);
                int rounds = copyWhileRunning(ram, writer);
                Stop stop = new Stop(devices, ram, spool.writer());
                stop.run();
                writer.all(spool);
                SaveReport report = stop.report(rounds);
                writer.end(report);
                return report;
            }
        } finally {
            machine.operations().end();
        }
    }

    /// The most that the stop can have to write, if the devices are what their types say.
    private long spoolBytes(List<AttachedDevice> devices) {
        long bytes = ROOM_FOR_THE_REST_BYTES + maxStoppedPages * (Page.SIZE + FRAME_BYTES);
        for (AttachedDevice device : devices) {
            long pages =
                    device.mdev().type().demands().stream()
                            .mapToLong(MdevType.Demand::npages)
                            .sum();
            bytes += ROOM_FOR_THE_REST_BYTES + DeviceState.MAX_BYTES;
            bytes += pages * (Page.SIZE + FRAME_BYTES);
        }
        return bytes;
    }

    private MachineStateHeader header(List<AttachedDevice> devices) {
        MachineSpec spec = machine.spec();
        return new MachineStateHeader(
                spec.name(),
                machine.engineName(),
                machine.addresses().physicalAddressBits(),
                spec.ramBytes(),
                spec.vcpus(),
                spec.smm(),
                devices.stream().map(MachineSave::describe).toList());
    }

    private static MachineStateHeader.Device describe(AttachedDevice device) {
        return new MachineStateHeader.Device(
                device.mdev().uuid(),
                device.mdev().parent().driverName(),
                device.mdev().type().id(),
                device.deviceNumber(),
                device.reservedGpas());
    }

    private @Nullable RamCopy ramCopy(MachineDirtyLog.Copying log) {
        HostMemory.Block ram = machine.ram();
        return ram == null ? null : new RamCopy(ram, log, () -> machine.operations().requireOpen());
    }

    /// @return how often RAM was copied
    private int copyWhileRunning(@Nullable RamCopy ram, MachineStateWriter writer)
            throws IOException {
        if (ram == null) {
            return 0;
        }
        ram.copyAll(writer);
        int rounds = 1;
        while (ram.take() > FEW_PAGES && rounds < MAX_ROUNDS) {
            ram.copyWaiting(writer);
            rounds++;
        }
        return rounds;
    }

    /// The time in which the machine stands still.
    private final class Stop {
        private final List<AttachedDevice> devices;
        private final @Nullable RamCopy ram;
        private final MachineStateWriter writer;
        private long pages;
        private long nanos;

        Stop(List<AttachedDevice> devices, @Nullable RamCopy ram, MachineStateWriter writer) {
            this.devices = devices;
            this.ram = ram;
            this.writer = writer;
        }

        void run() throws IOException {
            long start = System.nanoTime();
            try (VirtualMachine.Held _ = machine.hold(PATIENCE)) {
                List<StoppedDevice> stopped = new ArrayList<>();
                try {
                    for (AttachedDevice device : devices) {
                        stopped.add(bus.stopForSave(device.mdev().uuid()));
                    }
                    save(stopped);
                } finally {
                    closeAll(stopped);
                }
            }
            nanos = System.nanoTime() - start;
        }

        private void save(List<StoppedDevice> stopped) throws IOException {
            if (ram != null) {
                pages = ram.take();
                if (pages > maxStoppedPages) {
                    throw new MdevException(
                            Errno.EAGAIN,
                            "machine=%s writes faster than the stream takes: %d dirty pages are left after %d rounds"
                                    .formatted(machine.spec().name(), pages, MAX_ROUNDS));
                }
                ram.copyWaiting(writer);
            }
            for (int index = 0; index < stopped.size(); index++) {
                try (OutputStream parts = writer.device(index)) {
                    var _ = stopped.get(index).save(parts);
                }
                writer.function(index, devices.get(index).function().saveState());
            }
            if (machine.spec().smm() != SmmDesign.NONE) {
                writer.smm(SmmTransfer.save(machine));
            }
            writer.processors(machine.vcpus().stream().map(Vcpu::position).toList());
            if (!machine.devices().equals(devices)) {
                throw new MdevException(
                        Errno.EBUSY,
                        "machine=%s got or lost a device while saved"
                                .formatted(machine.spec().name()));
            }
        }

        SaveReport report(int rounds) {
            return new SaveReport(rounds, ram == null ? 0 : ram.copied(), pages, nanos);
        }
    }

    /// Lets all devices continue, whichever of them fail.
    private static void closeAll(List<StoppedDevice> stopped) {
        RuntimeException failure = null;
        for (StoppedDevice device : stopped.reversed()) {
            try {
                device.close();
            } catch (RuntimeException e) {
                if (failure == null) {
                    failure = e;
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
