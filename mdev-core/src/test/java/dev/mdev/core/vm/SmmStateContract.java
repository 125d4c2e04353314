package dev.mdev.core.vm;

import static dev.mdev.core.vm.SmmMachineContract.read;
import static dev.mdev.core.vm.SmmMachineContract.rsm;
import static dev.mdev.core.vm.SmmMachineContract.smi;
import static dev.mdev.core.vm.SmmMachineContract.write;
import static dev.mdev.core.vm.SmmMachineContract.writeByte;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.x86.SmmState;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/// A machine with system management mode is saved and restored, on an engine that has it.
abstract class SmmStateContract extends SavedMachine {
    private static final long SMRAM = 0xa2000;
    private static final long TSEG = RAM_BYTES - SmramRegions.TSEG_BYTES;
    private static final long SEGMENT = 0xe0000;
    private static final long SAVED_SMBASE = SmmState.OFFSET_FROM_SMBASE + 0x100;

    /// Below SMRAM's end, with room for the saved state.
    private static final long MOVED_SMBASE = 0xa8000;

    private static final int OPEN = 0x4a;
    private static final int LOCKED = 0x1a;

    SmmDesign design() {
        return SmmDesign.ADDRESS_SPACE;
    }

    @Override
    MachineSpec spec() {
        return new MachineSpec("vm", RAM_BYTES, 2, design());
    }

    private long bridge(int register) {
        return machine.vm.addresses().ecamGpa() + register;
    }

    private static List<StepResult> run(VirtualMachine vm, int vcpu, GuestProgram.Step... steps) {
        ProgramResult result =
                vm.vcpu(vcpu)
                        .execute(new GuestProgram(List.of(steps), false), PciMachine.PATIENCE)
                        .join();
        assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
        return result.steps();
    }

    private static List<Long> values(List<StepResult> steps) {
        return steps.stream().flatMap(step -> step.values().stream()).toList();
    }

    private static long savedSmbase(List<StepResult> steps) {
        return values(steps).getFirst() & 0xffff_ffffL;
    }

    private VirtualMachine restoredFrom(byte[] state) {
        return restore(state).machine();
    }

    @Test
    void eachProcessorIsInItsModeAndSeesItsMemory() {
        machine.store(SEGMENT, 8, 0x33);
        run(machine.vm, 0, smi(), write(SMRAM, 0x22), write(TSEG, 0x44));

        VirtualMachine after = restoredFrom(saved());

        assertThat(after.spec().smm()).isEqualTo(design());
        assertThat(after.vcpus()).extracting(Vcpu::isInSmm).containsExactly(true, false);
        assertThat(values(run(after, 0, read(SMRAM), read(TSEG), read(SEGMENT))))
                .containsExactly(0x22L, 0x44L, 0x33L);
        List<StepResult> outside = run(after, 1, read(SMRAM), read(TSEG), read(SEGMENT));
        assertThat(values(outside)).doesNotContain(0x22L, 0x44L).endsWith(0x33L);
        run(after, 0, rsm());
        assertThat(after.vcpu(0).isInSmm()).isFalse();
        assertThat(values(run(after, 0, smi(), read(SMRAM), rsm()))).containsExactly(0x22L);
    }

    /// The bytes that the processor saved at its entry are the guest's: a restore keeps them.
    @Test
    void aHandlerThatMovedSmbaseBeforeTheSaveHasItMovedAfterTheRestore() {
        run(machine.vm, 0, smi(), write(0xa0000 + SAVED_SMBASE, MOVED_SMBASE));

        VirtualMachine after = restoredFrom(saved());

        run(after, 0, rsm(), smi());
        assertThat(savedSmbase(run(after, 0, read(MOVED_SMBASE + SAVED_SMBASE))))
                .isEqualTo(MOVED_SMBASE);
        run(after, 0, rsm());
    }

    @Test
    void aProcessorOutsideKeepsItsMovedSmbase() {
        run(machine.vm, 1, smi(), write(0xa0400 + SAVED_SMBASE, MOVED_SMBASE), rsm());

        VirtualMachine after = restoredFrom(saved());

        assertThat(after.vcpu(1).isInSmm()).isFalse();
        assertThat(savedSmbase(run(after, 1, smi(), read(MOVED_SMBASE + SAVED_SMBASE))))
                .isEqualTo(MOVED_SMBASE);
    }

    @Test
    void anInterruptThatWaitsTakesTheProcessorBackAfterItsRsm() {
        run(machine.vm, 0, smi(), smi());

        VirtualMachine after = restoredFrom(saved());

        run(after, 0, rsm());
        assertThat(after.vcpu(0).isInSmm()).isTrue();
        run(after, 0, rsm());
        assertThat(after.vcpu(0).isInSmm()).isFalse();
    }

    @Test
    void theHostBridgeIsAsTheGuestSetItUp() {
        run(
                machine.vm,
                0,
                write(SEGMENT, 0x33),
                writeByte(bridge(HostBridge.SMRAM), OPEN),
                write(SMRAM, 0x22),
                writeByte(bridge(HostBridge.PAM0 + 5), 0));

        VirtualMachine after = restoredFrom(saved());

        List<Long> seen = values(run(after, 0, read(SMRAM), read(SEGMENT)));
        assertThat(seen.getFirst()).isEqualTo(0x22);
        assertThat(seen.getLast()).isNotEqualTo(0x33);
        run(after, 0, writeByte(bridge(HostBridge.PAM0 + 5), 0x33));
        assertThat(values(run(after, 0, read(SEGMENT)))).containsExactly(0x33L);
    }

    @Test
    void aLockStaysLocked() {
        run(machine.vm, 0, writeByte(bridge(HostBridge.SMRAM), LOCKED));

        VirtualMachine after = restoredFrom(saved());

        run(after, 0, writeByte(bridge(HostBridge.SMRAM), OPEN));
        List<Long> registers = values(run(after, 0, read(bridge(HostBridge.SMRAM) & -8L)));
        assertThat(registers.getFirst() >>> 40 & 0xff).isEqualTo(LOCKED);
    }

    /// What processors write to SMRAM while the save copies memory is in the state.
    @Test
    void aGuestThatStaysInTheModeWhileItIsSavedLosesNoStore() {
        run(machine.vm, 0, smi());
        GuestProgram.Step fill = new GuestProgram.Step.Write(new Span(SMRAM, 8, 1L << 32, 0), 1, 1);
        CompletableFuture<ProgramResult> writer =
                machine.vm
                        .vcpu(0)
                        .execute(new GuestProgram(List.of(fill), false), PciMachine.PATIENCE);
        List<byte[]> states = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            states.add(saved());
        }
        machine.vm.vcpu(0).interrupt();
        writer.join();

        long before = 0;
        for (byte[] state : states) {
            MachineRestore.Restored one = restore(state);
            long value = values(run(one.machine(), 0, read(SMRAM))).getFirst();
            assertThat(value).isEqualTo(one.positions().getFirst().completed());
            assertThat(value).isGreaterThanOrEqualTo(before);
            before = value;
        }
    }
}
