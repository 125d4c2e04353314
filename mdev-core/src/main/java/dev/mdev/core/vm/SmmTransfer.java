package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.machinestate.MachineStateHeader;
import dev.mdev.core.machinestate.MachineStateSection;
import dev.mdev.core.machinestate.SmmPosition;
import dev.mdev.core.x86.SmmState;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/// System management mode (SMM) in a machine's state: the registers of the host bridge, and each
/// processor's mode. SMRAM, with the states that processors saved there, goes with RAM.
final class SmmTransfer {
    /// An interrupt into the mode takes microseconds.
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final VirtualMachine machine;
    private final HostMemory.Block ram;

    private SmmTransfer(VirtualMachine machine) {
        this.machine = machine;
        this.ram = Objects.requireNonNull(machine.ram(), "a machine with SMM has RAM");
    }

    /// Reads what the state needs; the caller holds the machine.
    static MachineStateSection.Smm save(VirtualMachine machine) {
        List<SmmPosition> positions =
                machine.vcpus().stream()
                        .map(vcpu -> vcpu.smmPosition(SmramRegions.smbaseOf(vcpu.id())))
                        .toList();
        return new MachineStateSection.Smm(machine.layout().saveBridge(), positions);
    }

    /// Brings a new machine's processors where they were; RAM has its content already.
    ///
    /// @throws MdevException EINVAL if a processor was in the mode on another engine: the state
    ///   that it saved in SMRAM is that engine's
    static void restore(
            VirtualMachine machine, MachineStateHeader header, MachineStateSection.Smm state) {
        boolean anyInside = state.positions().stream().anyMatch(SmmPosition::inside);
        if (anyInside && !header.engine().equals(machine.engineName())) {
            throw new MdevException(
                    Errno.EINVAL,
                    "a processor of engine=%s is in system management mode; engine=%s cannot end that"
                            .formatted(header.engine(), machine.engineName()));
        }
        new SmmTransfer(machine).restore(state);
    }

    private void restore(MachineStateSection.Smm state) {
        List<Vcpu> waitingOutside = new ArrayList<>();
        for (Vcpu vcpu : machine.vcpus()) {
            SmmPosition position = state.positions().get(vcpu.id());
            restore(vcpu, position);
            if (position.waiting() && !position.inside()) {
                waitingOutside.add(vcpu);
            }
        }
        machine.layout().restoreBridge(state.bridge());
        waitingOutside.forEach(vcpu -> execute(vcpu, List.of(new GuestProgram.Step.Smi())));
    }

    private void restore(Vcpu vcpu, SmmPosition position) {
        long firstSmbase = SmramRegions.smbaseOf(vcpu.id());
        if (position.inside()) {
            enter(vcpu, firstSmbase, position.waiting());
        } else if (position.smbase() != firstSmbase) {
            // A processor begins with its first program.
            execute(vcpu, List.of());
        }
        if (position.inside() || position.smbase() != firstSmbase) {
            vcpu.setSmbase(position.smbase());
        }
    }

    /// Lets an interrupt take the processor into the mode, where firmware has set everything up for
    /// that, and takes back what it wrote to SMRAM: the guest's own saved state is there.
    private void enter(Vcpu vcpu, long firstSmbase, boolean another) {
        long area = firstSmbase + SmmState.OFFSET_FROM_SMBASE;
        MemorySegment before = MemorySegment.ofArray(new byte[SmmState.SIZE_BYTES]);
        ram.read(area, before);
        GuestProgram.Step smi = new GuestProgram.Step.Smi();
        execute(vcpu, another ? List.of(smi, smi) : List.of(smi));
        ram.write(area, before);
    }

    private static void execute(Vcpu vcpu, List<GuestProgram.Step> steps) {
        ProgramResult result = vcpu.execute(new GuestProgram(steps, false), PATIENCE).join();
        if (result.end() != ProgramResult.End.COMPLETED) {
            throw new MdevException(
                    Errno.EIO,
                    "vcpu=%d does not come into system management mode: %s"
                            .formatted(vcpu.id(), result));
        }
    }
}
