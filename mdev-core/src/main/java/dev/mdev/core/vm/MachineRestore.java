package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.Removal;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.machinestate.MachineStateHeader;
import dev.mdev.core.machinestate.MachineStateReader;
import dev.mdev.core.machinestate.MachineStateSection;
import dev.mdev.core.machinestate.ProgramPosition;
import dev.mdev.core.machinestate.SaveReport;

import org.jspecify.annotations.Nullable;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// Makes a machine, and its devices, out of a saved state. All of it is new: if anything fails, it
/// is ended again, and nothing changed. No guest program runs, and no device works, before the
/// stream was read to its end mark.
public final class MachineRestore {
    private final MdevBus bus;
    private final Host host;
    private final MachineStateReader reader;

    private final List<Mdev> devices = new ArrayList<>();
    private final List<byte[]> functions = new ArrayList<>();
    private List<ProgramPosition> positions = List.of();
    private MachineStateSection.@Nullable Smm smm;

    /// Makes what a state consists of.
    public interface Host {
        /// Makes the machine, which no one else can use yet.
        ///
        /// @throws MdevException if it is not possible, or not allowed
        VirtualMachine createMachine(MachineStateHeader header);

        /// Makes a device.
        ///
        /// @throws MdevException if it is not possible, or not allowed
        Mdev createDevice(MachineStateHeader.Device device);
    }

    /// @param in is read up to the end of the state, and stays open
    public MachineRestore(MdevBus bus, Host host, InputStream in) {
        this.bus = bus;
        this.host = host;
        this.reader = new MachineStateReader(in);
    }

    /// A restored machine.
    ///
    /// @param positions where the programs of its processors were
    /// @param report how it was saved
    public record Restored(
            VirtualMachine machine,
            MachineStateHeader header,
            List<ProgramPosition> positions,
            SaveReport report) {
        public Restored {
            positions = List.copyOf(positions);
        }
    }

    /// Reads the state.
    ///
    /// @throws IOException if the stream fails
    /// @throws MdevException EPROTO if it is malformed or truncated, EOPNOTSUPP for an unknown
    ///   version, EINVAL if it does not fit this host or its engine; otherwise as [Host],
    ///   [MdevBus#restore] and [VirtualMachine#attach]
    public Restored run() throws IOException {
        MachineStateHeader header = reader.header();
        VirtualMachine machine = host.createMachine(header);
        try {
            requireSameAddresses(header, machine);
            SaveReport report = readSections(header, machine);
            if (smm != null) {
                SmmTransfer.restore(machine, header, smm);
            }
            for (int index = 0; index < devices.size(); index++) {
                MachineStateHeader.Device device = header.devices().get(index);
                var _ =
                        machine.attachRestored(
                                devices.get(index),
                                new RestoredPlace(
                                        device.number(), device.bars(), functions.get(index)));
            }
            return new Restored(machine, header, positions, report);
        } catch (IOException | RuntimeException | Error e) {
            discard(machine, e);
            throw e;
        }
    }

    /// Ends the machine and all devices, whichever of them do not end: nobody else knows them.
    private void discard(VirtualMachine machine, Throwable because) {
        attempt(machine::close, because);
        for (Mdev mdev : devices) {
            // A machine that does not end still has it.
            Removal how = Removal.forcing(Duration.ZERO);
            attempt(() -> bus.remove(mdev.uuid(), how), because);
        }
    }

    private static void attempt(Runnable step, Throwable because) {
        try {
            step.run();
        } catch (RuntimeException | Error e) {
            because.addSuppressed(e);
        }
    }

    /// A guest knows where its RAM ends and its configuration space is.
    private static void requireSameAddresses(MachineStateHeader header, VirtualMachine machine) {
        MachineAddresses before = new MachineAddresses(header.physicalAddressBits());
        if (before.barWindowGpa() != machine.addresses().barWindowGpa()) {
            throw new MdevException(
                    Errno.EINVAL,
                    "the state of a machine with %s is not for one with %s"
                            .formatted(before, machine.addresses()));
        }
    }

    private SaveReport readSections(MachineStateHeader header, VirtualMachine machine)
            throws IOException {
        while (true) {
            switch (reader.next()) {
                case MachineStateSection.Pages pages -> write(machine, pages);
                case MachineStateSection.Zeroes zeroes ->
                        ramOf(machine)
                                .fill(
                                        Page.addressOf(zeroes.firstPage()),
                                        Page.bytesOf(zeroes.npages()),
                                        (byte) 0);
                case MachineStateSection.DevicePart first ->
                        restore(header.devices().get(first.index()), first.content());
                case MachineStateSection.Function function -> functions.add(function.content());
                case MachineStateSection.Smm modes -> smm = modes;
                case MachineStateSection.Processors all -> positions = all.positions();
                case MachineStateSection.End end -> {
                    return end.report();
                }
            }
        }
    }

    private static void write(VirtualMachine machine, MachineStateSection.Pages pages) {
        ramOf(machine)
                .write(Page.addressOf(pages.firstPage()), MemorySegment.ofArray(pages.content()));
    }

    /// The reader accepts no pages of a machine without RAM.
    private static HostMemory.Block ramOf(VirtualMachine machine) {
        HostMemory.Block ram = machine.ram();
        if (ram == null) {
            throw new MdevException(Errno.EINVAL, "%s has no RAM".formatted(machine.spec()));
        }
        return ram;
    }

    /// @param first the first part of its stream
    private void restore(MachineStateHeader.Device device, byte[] first) throws IOException {
        Mdev mdev = host.createDevice(device);
        devices.add(mdev);
        InputStream all =
                new SequenceInputStream(new ByteArrayInputStream(first), reader.deviceStream());
        bus.restore(mdev.uuid(), all);
    }
}
