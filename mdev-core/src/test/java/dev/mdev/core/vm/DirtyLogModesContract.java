package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.hostmm.MemoryBackend;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/// The modes of a machine's dirty log, on any engine.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
abstract class DirtyLogModesContract {
    private static final long RAM_BYTES = 4L << 20;
    private static final DirtyLogMode OFF = new DirtyLogMode.Off();
    private static final DirtyLogMode BITMAP = new DirtyLogMode.Bitmap();
    private static final DirtyLogMode MANUAL = new DirtyLogMode.ManualProtect(false);
    private static final DirtyLogMode RING = new DirtyLogMode.Ring(256);

    private final PciMachine machine =
            new PciMachine(new MachineSpec("vm", RAM_BYTES, 2), engine(), backend());
    private final MachineDirtyLog log = machine.vm.dirtyLog();

    abstract Engine engine();

    /// Memory that the engine can map.
    abstract MemoryBackend backend();

    @AfterEach
    void stop() {
        machine.close();
    }

    @Test
    void aRingHasWhatProcessorsAndDevicesWrote() {
        AttachedDevice device = machine.attach();
        machine.vm.setDirtyLog(RING);
        machine.store(0x5000, 8, 1);
        machine.device(0).memory().write(0x6ffc, MemorySegment.ofArray(new byte[8]));
        machine.store(device.barGpa(0).orElseThrow() + 0x3000, 8, 1);

        assertThat(runs(log.slots(), 0)).containsExactly(new DirtyPages.Run(5, 3));
        assertThat(runs(log.slots(), 1)).containsExactly(new DirtyPages.Run(3, 1));
        assertThat(log.memory().parts())
                .extracting(DirtyPages::runs)
                .containsExactly(
                        List.of(new DirtyPages.Run(5, 3)), List.of(new DirtyPages.Run(3, 1)));
        assertThat(log.harvested()).isEqualTo(2);

        assertThat(log.takeSlots().dirty()).isEqualTo(4);
        assertThat(log.taken()).isEqualTo(4);
        assertThat(log.slots().dirty()).isZero();
        machine.store(0x5000, 8, 2);
        assertThat(runs(log.slots(), 0)).containsExactly(new DirtyPages.Run(5, 1));
    }

    @Test
    void aFullRingStopsItsProcessorUntilItIsHarvestedAndNoPageIsLost() {
        machine.vm.setDirtyLog(RING);
        long pages = Page.numberOf(RAM_BYTES);

        List<CompletableFuture<ProgramResult>> programs =
                List.of(fill(0, pages / 2), fill(1, pages / 2));

        programs.forEach(
                program -> assertThat(program.join().end()).isEqualTo(ProgramResult.End.COMPLETED));
        assertThat(runs(log.slots(), 0)).containsExactly(new DirtyPages.Run(0, pages));
        // A ring is full with 192 of its 256 entries, and a harvest empties both rings: how often
        // they are full depends on how the two run. 512 pages fill a ring twice at least.
        assertThat(log.full()).isGreaterThanOrEqualTo(2);
        assertThat(log.harvested()).isGreaterThanOrEqualTo(pages);
    }

    /// A processor writes to its half of RAM, one store in each page.
    private CompletableFuture<ProgramResult> fill(int vcpu, long pages) {
        Span span = new Span(Page.addressOf(vcpu * pages), 8, pages, Page.SIZE);
        return machine.vm
                .vcpu(vcpu)
                .execute(
                        new GuestProgram(List.of(new GuestProgram.Step.Write(span, 1, 1)), false),
                        PciMachine.PATIENCE);
    }

    @Test
    void aBarThatIsHiddenKeepsWhatIsStillInTheRings() {
        AttachedDevice device = machine.attach();
        machine.vm.setDirtyLog(RING);
        machine.store(device.barGpa(0).orElseThrow() + 0x3000, 8, 1);

        device.config().write(PciMachine.COMMAND, 2, PciMachine.MASTER);

        assertThat(log.slots().parts()).hasSize(1);
        assertThat(log.memory().parts()).extracting(DirtyPages::dirty).containsExactly(0L, 1L);
        device.config().write(PciMachine.COMMAND, 2, PciMachine.MASTER | PciMachine.MEMORY);
        assertThat(runs(log.slots(), 1)).containsExactly(new DirtyPages.Run(3, 1));
    }

    @Test
    void aLogThatStopsAndStartsAgainForgetsWhatTheRingsHad() {
        machine.vm.setDirtyLog(RING);
        machine.store(0x5000, 8, 1);
        machine.vm.setDirtyLog(OFF);
        machine.store(0x7000, 8, 1);
        machine.vm.setDirtyLog(RING);
        assertThat(log.slots().dirty()).isZero();
        machine.store(0x5000, 8, 2);
        assertThat(runs(log.slots(), 0)).containsExactly(new DirtyPages.Run(5, 1));
    }

    @Test
    void ringsMustComeBeforeTheFirstProgramAndThenThereAreNoBitmaps() {
        assertErrno(Errno.EINVAL, () -> machine.vm.setDirtyLog(new DirtyLogMode.Ring(300)));
        assertErrno(Errno.EINVAL, () -> machine.vm.setDirtyLog(new DirtyLogMode.Ring(128)));
        assertErrno(Errno.E2BIG, () -> machine.vm.setDirtyLog(new DirtyLogMode.Ring(1 << 17)));
        assertThat(log.mode()).isEqualTo(OFF);

        machine.vm.setDirtyLog(RING);
        assertErrno(Errno.EBUSY, () -> log.takePart(new DirtyLogClear(0, 64, 0)));
        machine.vm.setDirtyLog(OFF);
        assertErrno(Errno.EBUSY, () -> machine.vm.setDirtyLog(BITMAP));
        assertErrno(Errno.EBUSY, () -> machine.vm.setDirtyLog(new DirtyLogMode.Ring(512)));
        machine.store(0x5000, 8, 1);
        machine.vm.setDirtyLog(RING);
        assertThat(log.mode()).isEqualTo(RING);
    }

    @Test
    void afterAProgramItIsTooLateForRings() {
        machine.store(0x5000, 8, 1);

        assertErrno(Errno.EBUSY, () -> machine.vm.setDirtyLog(RING));

        assertThat(log.mode()).isEqualTo(OFF);
        machine.vm.setDirtyLog(BITMAP);
        assertErrno(Errno.EBUSY, () -> machine.vm.setDirtyLog(MANUAL));
        machine.store(0x5000, 8, 1);
        assertThat(log.slots().dirty()).as("the refusal changed nothing").isEqualTo(1);
    }

    @Test
    void withManualProtectionOnlyNamedPagesBecomeClean() {
        machine.vm.setDirtyLog(MANUAL);
        machine.store(0x5000, 8, 1);
        machine.store(0x45000, 8, 1);
        assertThat(log.slots().dirty()).isEqualTo(2);

        log.takePart(new DirtyLogClear(0, 64, 0));

        assertThat(runs(log.slots(), 0)).containsExactly(new DirtyPages.Run(0x45, 1));
        machine.store(0x5000, 8, 2);
        machine.store(0x45000, 8, 2);
        assertThat(log.slots().dirty()).isEqualTo(2);
        assertThat(log.takeSlots().dirty()).isEqualTo(2);
        machine.store(0x45000, 8, 3);
        assertThat(log.slots().dirty()).isEqualTo(1);
        assertErrno(Errno.EINVAL, () -> log.takePart(new DirtyLogClear(0, 64, 1)));
        assertErrno(Errno.EINVAL, () -> log.takePart(new DirtyLogClear(0, 63, 0)));
        assertErrno(Errno.EINVAL, () -> log.takePart(new DirtyLogClear(0, -1, 0)));
        assertErrno(Errno.ENOENT, () -> log.takePart(new DirtyLogClear(7, 64, 0)));
        assertThat(log.slots().dirty()).isEqualTo(1);
    }

    @Test
    void anInitiallySetLogBeginsWithAllPagesAndLosesNoWriteAfterItIsCleared() {
        long pages = Page.numberOf(RAM_BYTES);
        machine.store(0x5000, 8, 1);
        machine.vm.setDirtyLog(new DirtyLogMode.ManualProtect(true));
        assertThat(runs(log.slots(), 0)).containsExactly(new DirtyPages.Run(0, pages));

        log.takePart(new DirtyLogClear(0, 64, 0));
        assertThat(runs(log.slots(), 0)).containsExactly(new DirtyPages.Run(64, pages - 64));
        machine.store(0x5000, 8, 2);
        assertThat(log.takeSlots().dirty()).isEqualTo(pages - 63);
        machine.store(0x5000, 8, 3);
        assertThat(runs(log.slots(), 0)).containsExactly(new DirtyPages.Run(5, 1));
        machine.vm.setDirtyLog(OFF);
        machine.vm.setDirtyLog(BITMAP);
        assertThat(log.slots().dirty()).as("a plain log").isZero();
    }

    @Test
    void theLogOfAMachineThatIsGoneIsGoneToo() {
        machine.vm.setDirtyLog(BITMAP);
        machine.store(0x5000, 8, 1);
        machine.vm.close();
        assertErrno(Errno.ESHUTDOWN, log::slots);
        assertErrno(Errno.ESHUTDOWN, log::memory);
        assertErrno(Errno.ESHUTDOWN, log::takeSlots);
        assertErrno(Errno.ESHUTDOWN, log::dirtyPages);
        assertErrno(Errno.ESHUTDOWN, () -> log.takePart(new DirtyLogClear(0, 64, 0)));
        assertErrno(Errno.ESHUTDOWN, () -> machine.vm.setDirtyLog(OFF));
    }

    private static List<DirtyPages.Run> runs(MachineDirtyLog.Answer answer, int part) {
        return answer.parts().get(part).runs();
    }
}
