package dev.mdev.core.vm;

import dev.mdev.api.page.Page;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.machinestate.MachineStateHeader;
import dev.mdev.core.machinestate.SaveReport;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/// A machine with devices that is saved, on any engine, and restored beside itself.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
abstract class SavedMachine {
    static final long RAM_BYTES = 16L << 20;

    final PciMachine machine = new PciMachine(spec(), engine(), backend());
    final List<VirtualMachine> restored = new ArrayList<>();

    /// Runs before a device of a restored machine is made.
    Runnable beforeDevice = () -> {};

    abstract Engine engine();

    /// The machine that is saved.
    MachineSpec spec() {
        return new MachineSpec("vm", RAM_BYTES, 2);
    }

    /// The engine of the machines that are restored.
    Engine engineOfRestored() {
        return engine();
    }

    /// Memory that the engine can map.
    abstract MemoryBackend backend();

    @AfterEach
    void stop() {
        restored.forEach(VirtualMachine::close);
        machine.close();
    }

    byte[] saved() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        save(out);
        return out.toByteArray();
    }

    SaveReport save(OutputStream out) {
        return save(new MachineSave(machine.vm, machine.bus), out);
    }

    static SaveReport save(MachineSave how, OutputStream out) {
        try {
            return how.run(out);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Restores beside the saved machine: devices get new uuids.
    MachineRestore.Restored restore(byte[] state) {
        MachineRestore.Host host =
                new MachineRestore.Host() {
                    @Override
                    public VirtualMachine createMachine(MachineStateHeader header) {
                        VirtualMachine made =
                                new VirtualMachine(
                                        new MachineSpec(
                                                "restored",
                                                header.ramBytes(),
                                                header.vcpus(),
                                                header.smm()),
                                        engineOfRestored(),
                                        machine.memory);
                        restored.add(made);
                        return made;
                    }

                    @Override
                    public Mdev createDevice(MachineStateHeader.Device device) {
                        beforeDevice.run();
                        return machine.create();
                    }
                };
        try {
            return new MachineRestore(machine.bus, host, new ByteArrayInputStream(state)).run();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static long load(VirtualMachine vm, long gpa) {
        return run(vm, new GuestProgram.Step.Read(new Span(gpa, 8, 1, 0)))
                .steps()
                .getFirst()
                .values()
                .getFirst();
    }

    static ProgramResult run(VirtualMachine vm, GuestProgram.Step step) {
        return vm.vcpu(0)
                .execute(new GuestProgram(List.of(step), false), PciMachine.PATIENCE)
                .join();
    }

    static long gpaOf(int page) {
        return Page.addressOf(page + 16L);
    }
}
