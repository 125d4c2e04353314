package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.x86.SmmState;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionException;

/// A machine with system management mode, on an engine.
abstract class SmmMachineContract {
    static final long VGA = 0xa0000;
    private static final long VGA_BYTES = 0x20000;
    private static final long RAM_BYTES = 4L << 20;
    private static final long TSEG = RAM_BYTES - SmramRegions.TSEG_BYTES;
    private static final long SMBASE = VGA;
    private static final long STATE = SMBASE + SmmState.OFFSET_FROM_SMBASE;

    /// The saved smbase, from the start of the state.
    private static final long SAVED_SMBASE = STATE + 0x100;

    private static final int D_OPEN_AND_ENABLED = 0x4a;
    private static final int DISABLED = 0x02;
    private static final int CLOSED = 0x0a;
    private static final int LOCKED = 0x1a;

    private @Nullable PciMachine made;

    abstract Engine engine();

    abstract MemoryBackend backend();

    PciMachine machine() {
        return machine(SmmDesign.ADDRESS_SPACE);
    }

    PciMachine machine(SmmDesign design) {
        PciMachine machine =
                new PciMachine(new MachineSpec("vm", RAM_BYTES, 2, design), engine(), backend());
        made = machine;
        return machine;
    }

    @AfterEach
    void stop() {
        PciMachine machine = made;
        if (machine != null) {
            machine.close();
        }
    }

    static GuestProgram.Step smi() {
        return new GuestProgram.Step.Smi();
    }

    static GuestProgram.Step rsm() {
        return new GuestProgram.Step.Rsm();
    }

    static GuestProgram.Step read(long gpa) {
        return new GuestProgram.Step.Read(new Span(gpa, 8, 1, 0));
    }

    static GuestProgram.Step write(long gpa, long value) {
        return new GuestProgram.Step.Write(new Span(gpa, 8, 1, 0), value, 0);
    }

    static GuestProgram.Step writeByte(long gpa, long value) {
        return new GuestProgram.Step.Write(new Span(gpa, 1, 1, 0), value, 0);
    }

    /// Runs a program to its end.
    static List<StepResult> run(PciMachine machine, GuestProgram.Step... steps) {
        ProgramResult result = machine.run(steps);
        assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
        return result.steps();
    }

    static long valueOf(StepResult step) {
        return step.values().getFirst();
    }

    static AttachedDevice attachDisplay(PciMachine machine, RegionArea.Kind kind) {
        machine.driver.identity = new PciIdentity(0x1234, 0x1111, 0x030000, 2, 0x1af4, 0x1100);
        machine.driver.regions =
                List.of(
                        new RegionInfo(
                                RegionInfo.VGA,
                                "vga",
                                VGA + VGA_BYTES,
                                List.of(new RegionArea(VGA, VGA_BYTES, kind))));
        return machine.attach();
    }

    @Test
    void oneAddressIsTheDisplayOutsideAndSmramInside() {
        PciMachine machine = machine();
        attachDisplay(machine, RegionArea.Kind.LAZY);

        List<StepResult> steps =
                run(
                        machine,
                        write(VGA, 0x11),
                        smi(),
                        write(VGA, 0x22),
                        read(VGA),
                        rsm(),
                        read(VGA),
                        smi(),
                        read(VGA),
                        rsm());

        assertThat(valueOf(steps.get(3))).isEqualTo(0x22);
        assertThat(valueOf(steps.get(5))).isEqualTo(0x11);
        assertThat(valueOf(steps.get(7))).isEqualTo(0x22);
        assertThat(steps)
                .extracting(StepResult::inSmm)
                .containsExactly(false, true, true, true, false, false, true, true, false);
        assertThat(steps)
                .extracting(StepResult::addressSpace)
                .containsExactly(0, 1, 1, 1, 0, 0, 1, 1, 0);
        assertThat(steps).allMatch(step -> step.mmioExits() == 0);
    }

    @Test
    void ordinaryRamIsTheSameInside() {
        List<StepResult> steps =
                run(
                        machine(),
                        write(0x5000, 7),
                        smi(),
                        read(0x5000),
                        write(0x5000, 8),
                        rsm(),
                        read(0x5000));
        assertThat(valueOf(steps.get(2))).isEqualTo(7);
        assertThat(valueOf(steps.get(5))).isEqualTo(8);
    }

    @Test
    void theStateIsSavedInSmramAndHiddenOutside() {
        List<StepResult> steps =
                run(
                        machine(),
                        read(SAVED_SMBASE),
                        smi(),
                        new GuestProgram.Step.Read(new Span(SAVED_SMBASE, 4, 1, 0)),
                        rsm(),
                        read(SAVED_SMBASE));
        assertThat(steps.getFirst().unassigned()).isEqualTo(1);
        assertThat(valueOf(steps.get(2))).isEqualTo(SMBASE);
        assertThat(steps.getLast().unassigned()).isEqualTo(1);
    }

    @Test
    void tsegIsMemoryInsideAndNothingOutside() {
        List<StepResult> steps =
                run(
                        machine(),
                        write(TSEG, 1),
                        read(TSEG),
                        smi(),
                        write(TSEG, 2),
                        read(TSEG),
                        rsm(),
                        read(TSEG),
                        write(TSEG - 8, 3),
                        read(TSEG - 8));
        assertThat(valueOf(steps.get(1))).isEqualTo(-1);
        assertThat(valueOf(steps.get(4))).isEqualTo(2);
        assertThat(valueOf(steps.get(6))).isEqualTo(-1);
        assertThat(valueOf(steps.get(8))).isEqualTo(3);
    }

    @Test
    void aMovedSmbaseCountsFromTheNextInterruptOn() {
        long moved = TSEG;
        List<StepResult> steps =
                run(
                        machine(),
                        smi(),
                        new GuestProgram.Step.Write(new Span(SAVED_SMBASE, 4, 1, 0), moved, 0),
                        rsm(),
                        smi(),
                        new GuestProgram.Step.Read(
                                new Span(moved + SmmState.OFFSET_FROM_SMBASE + 0x100, 4, 1, 0)),
                        rsm());
        assertThat(valueOf(steps.get(4))).isEqualTo(moved);
    }

    @Test
    void aSecondInterruptWaitsUntilTheProcessorHasLeft() {
        List<StepResult> steps = run(machine(), smi(), smi(), smi(), rsm(), rsm(), read(0x5000));
        assertThat(steps)
                .extracting(StepResult::inSmm)
                .containsExactly(true, true, true, true, false, false);
    }

    @Test
    void rsmOutsideIsAnInvalidOpcode() {
        PciMachine machine = machine();
        ProgramResult result = machine.run(rsm(), read(0));
        assertThat(result.end()).isEqualTo(ProgramResult.End.FAULTED);
        assertThat(result.steps()).hasSize(1);
        assertThat(result.steps().getFirst().completed()).isZero();
        assertThat(result.steps().getFirst().fault().orElseThrow().refusal().errno())
                .isEqualTo(Errno.EINVAL);
        run(machine, smi(), rsm(), read(0));
    }

    @Test
    void eachProcessorHasItsOwnMode() {
        PciMachine machine = machine();
        run(machine, smi(), write(VGA, 5));
        ProgramResult other =
                machine.vm
                        .vcpu(1)
                        .execute(
                                new GuestProgram(List.of(read(VGA), smi(), read(VGA)), false),
                                PciMachine.PATIENCE)
                        .join();
        assertThat(other.steps().get(0).unassigned()).isEqualTo(1);
        assertThat(valueOf(other.steps().get(2))).isEqualTo(5);
        assertThat(other.steps()).extracting(StepResult::inSmm).containsExactly(false, true, true);
        assertThat(valueOf(run(machine, read(VGA)).getFirst())).isEqualTo(5);
    }

    @Test
    void theHostBridgeOpensClosesAndLocksSmram() {
        PciMachine machine = machine();
        long config = machine.vm.addresses().ecamGpa();
        assertThat(valueOf(run(machine, read(config)).getFirst()) & 0xffff_ffffL)
                .isEqualTo(0x29c0_8086L);
        List<StepResult> steps =
                run(
                        machine,
                        smi(),
                        write(VGA, 9),
                        rsm(),
                        writeByte(config + HostBridge.SMRAM, D_OPEN_AND_ENABLED),
                        read(VGA),
                        smi(),
                        read(VGA),
                        rsm(),
                        writeByte(config + HostBridge.SMRAM, LOCKED | HostBridge.D_OPEN),
                        read(VGA),
                        writeByte(config + HostBridge.SMRAM, D_OPEN_AND_ENABLED),
                        read(VGA),
                        smi(),
                        read(VGA),
                        rsm());
        assertThat(valueOf(steps.get(4))).as("open").isEqualTo(9);
        assertThat(valueOf(steps.get(6))).as("open, inside").isEqualTo(9);
        assertThat(steps.get(9).unassigned()).as("locked").isEqualTo(1);
        assertThat(steps.get(11).unassigned()).as("still locked").isEqualTo(1);
        assertThat(valueOf(steps.get(13))).as("inside").isEqualTo(9);
    }

    @Test
    void segmentsBelowOneMibAreWhatTheHostBridgeSays() {
        PciMachine machine = machine();
        long pam1 = machine.vm.addresses().ecamGpa() + HostBridge.PAM0 + 1;
        long segment = 0xc4000;
        List<StepResult> steps =
                run(
                        machine,
                        write(segment, 1),
                        write(segment - 8, 2),
                        writeByte(pam1, 0x13),
                        write(segment, 3),
                        read(segment),
                        writeByte(pam1, 0x03),
                        read(segment),
                        read(segment - 8),
                        writeByte(pam1, 0x33),
                        write(segment, 4),
                        read(segment));
        assertThat(steps.get(3).mmioExits()).as("a store to a ROM").isEqualTo(1);
        assertThat(valueOf(steps.get(4))).isEqualTo(1);
        assertThat(steps.get(6).unassigned()).isEqualTo(1);
        assertThat(valueOf(steps.get(7))).isEqualTo(2);
        assertThat(valueOf(steps.get(10))).isEqualTo(4);
    }

    @Test
    void anInterruptWithoutMemoryForTheStateEndsTheMachine() {
        PciMachine machine = machine();
        long smram = machine.vm.addresses().ecamGpa() + HostBridge.SMRAM;
        Throwable failure =
                org.assertj.core.api.Assertions.catchThrowable(
                        () -> machine.run(writeByte(smram, DISABLED), smi()));
        assertThat(failure).isInstanceOf(CompletionException.class);
        PciMachine.assertErrno(
                Errno.EIO,
                () -> {
                    throw failure.getCause();
                });
        assertThat(machine.vm.slots().isDead()).isTrue();
    }

    /// Closing it is the last step of the test.
    @Test
    void aDeadMachineLetsItsDevicesGo() {
        PciMachine machine = machine();
        AttachedDevice display = attachDisplay(machine, RegionArea.Kind.LAZY);
        machine.attach();
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        machine.vm.slots().kill("asked to");

        machine.vm.detach(display.mdev().uuid());
        assertThat(machine.vm.devices()).hasSize(1);
        assertThat(machine.device(0).events).contains("reset");
    }

    @Test
    void rsmWithoutTheStateFailsAndTheProcessorStaysInside() {
        PciMachine machine = machine();
        long smram = machine.vm.addresses().ecamGpa() + HostBridge.SMRAM;
        ProgramResult result = machine.run(smi(), writeByte(smram, DISABLED), rsm());
        assertThat(result.end()).isEqualTo(ProgramResult.End.FAULTED);
        StepResult last = result.steps().getLast();
        assertThat(last.fault().orElseThrow().refusal().errno()).isEqualTo(Errno.EFAULT);
        assertThat(last.inSmm()).isTrue();
        List<StepResult> steps =
                run(machine, writeByte(smram, CLOSED), rsm(), write(0x5000, 3), read(0x5000));
        assertThat(steps.get(1).inSmm()).isFalse();
        assertThat(valueOf(steps.get(3))).isEqualTo(3);
    }

    /// The guest may write anything to the saved state: the processor's own program must not care.
    @Test
    void aSpoiledStateHarmsOnlyItsGuest() {
        PciMachine machine = machine();
        List<GuestProgram.Step> steps = new ArrayList<>();
        steps.add(smi());
        // All but smbase.
        steps.add(new GuestProgram.Step.Write(new Span(STATE, 8, 0x20, 8), -1, 0));
        steps.add(new GuestProgram.Step.Write(new Span(STATE + 0x108, 8, 0x1f, 8), -1, 0));
        steps.add(rsm());
        ProgramResult result = machine.run(steps.toArray(GuestProgram.Step[]::new));
        assertThat(result.end()).isEqualTo(ProgramResult.End.FAULTED);
        StepResult last = result.steps().getLast();
        assertThat(last.fault().orElseThrow().refusal().errno()).isEqualTo(Errno.EIO);
        assertThat(last.inSmm()).isFalse();
        List<StepResult> after =
                run(machine, write(0x5000, 3), smi(), read(0x5000), rsm(), read(0x5000));
        assertThat(valueOf(after.get(2))).isEqualTo(3);
        assertThat(valueOf(after.get(4))).isEqualTo(3);
    }

    @Test
    void theDirtyLogHasThePagesOfEachSpace() {
        PciMachine machine = machine();
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        run(machine, write(0x5000, 1), smi(), write(0x7000, 2), rsm());

        assertThat(pages(machine, 0)).containsExactly(5L);
        assertThat(pages(machine, 1)).containsExactly(7L, STATE >> 12);
        machine.vm.dirtyLog().takeSlots();
        assertThat(pages(machine, 1)).isEmpty();
    }

    /// Guest frames of the dirty pages of an address space.
    private static List<Long> pages(PciMachine machine, int addressSpace) {
        List<Long> pages = new ArrayList<>();
        for (DirtyPages part : machine.vm.dirtyLog().slots().parts()) {
            if (part.of() instanceof DirtyPages.Of.Slot slot
                    && slot.addressSpace() == addressSpace) {
                for (DirtyPages.Run run : part.runs()) {
                    for (long page = run.first(); page < run.first() + run.count(); page++) {
                        pages.add((slot.gpa() >> 12) + page);
                    }
                }
            }
        }
        return pages.stream().sorted().toList();
    }
}
