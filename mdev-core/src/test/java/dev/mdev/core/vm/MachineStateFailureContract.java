package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.support.Seeded;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;

/// Saves and restores that fail, on any engine: the saved machine goes on, and nothing else is
/// left.
abstract class MachineStateFailureContract extends SavedMachine {
    @Test
    void aStreamThatEndsEarlyIsRefusedAndNothingIsLeft() {
        byte[] state = savedWithDevice();
        Seeded.run(1, random -> cutAnywhere(state, random));
    }

    private void cutAnywhere(byte[] state, SplittableRandom random) {
        List<Integer> lengths = new ArrayList<>();
        for (int at = 0; at < 60; at++) {
            lengths.add(at < 30 ? at * 8 : random.nextInt(state.length));
        }
        lengths.add(state.length - 1);
        for (int length : lengths) {
            assertRefused(Arrays.copyOf(state, length), Errno.EPROTO, "length=" + length);
        }
        assertRefused(Arrays.copyOf(state, state.length + 1), Errno.EPROTO, "too long");
    }

    @Test
    void aStreamWithOneWrongBitIsRefusedAndNothingIsLeft() {
        byte[] state = savedWithDevice();
        Seeded.run(1, random -> changeAnywhere(state, random));
    }

    private void changeAnywhere(byte[] state, SplittableRandom random) {
        for (int i = 0; i < 60; i++) {
            int at = i < 12 ? i : random.nextInt(state.length);
            byte[] changed = state.clone();
            changed[at] ^= (byte) (1 << random.nextInt(8));
            assertRefused(changed, null, "at=" + at);
        }
    }

    private byte[] savedWithDevice() {
        AttachedDevice device = machine.attach();
        for (int page = 0; page < 5; page++) {
            machine.store(0x5000 + Page.addressOf(page), 8, page + 1);
        }
        machine.store(device.barGpa(0).orElseThrow(), 8, 1);
        return saved();
    }

    /// @param errno null for any
    private void assertRefused(byte[] state, @Nullable Errno errno, String as) {
        int devices = machine.bus.mdevs().size();
        assertThatThrownBy(() -> restore(state))
                .as(as)
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> {
                            if (errno != null) {
                                assertThat(e.errno()).as("%s: %s", as, e).isEqualTo(errno);
                            }
                        });
        assertThat(machine.bus.mdevs()).as(as).hasSize(devices);
        for (VirtualMachine left : restored) {
            assertErrno(Errno.ESHUTDOWN, () -> left.attach(machine.vm.devices().get(0).mdev()));
        }
        restored.clear();
    }

    /// One that somebody else removed, for example.
    @Test
    void aRestoreThatIsGivenUpEndsAllItsDevicesAlsoWhereOneCannotBeEnded() {
        machine.attach();
        machine.attach();
        byte[] state = saved();
        List<Mdev> before = machine.bus.mdevs();
        beforeDevice =
                () -> {
                    List<Mdev> made = new ArrayList<>(machine.bus.mdevs());
                    made.removeAll(before);
                    made.forEach(first -> machine.bus.remove(first.uuid()));
                };

        Throwable failure = catchThrowable(() -> restore(Arrays.copyOf(state, state.length - 1)));

        assertErrno(
                Errno.EPROTO,
                () -> {
                    throw failure;
                });
        assertThat(failure.getSuppressed()).hasSize(1);
        assertThat(machine.bus.mdevs()).containsExactlyInAnyOrderElementsOf(before);
        beforeDevice = () -> {};
        assertThat(restore(state).machine().devices()).hasSize(2);
    }

    @Test
    void theStateOfAnotherKindOfFunctionOrHostIsRefused() {
        byte[] state = savedWithDevice();
        machine.driver.regions =
                List.of(
                        RegionInfo.of(0, "memory", Page.bytesOf(8), RegionArea.Kind.LAZY),
                        RegionInfo.of(2, "registers", 256, RegionArea.Kind.TRAPPED));
        assertRefused(state, Errno.EINVAL, "smaller BAR");
        byte[] newer = state.clone();
        newer[9] = 9;
        assertRefused(newer, Errno.EOPNOTSUPP, "newer format");
    }

    @Test
    void aStreamThatFailsAnywhereLeavesTheMachineAsItWas() {
        byte[] state = savedWithDevice();
        Seeded.run(1, random -> failAnywhere(state.length, random));
    }

    private void failAnywhere(int lengthBytes, SplittableRandom random) {
        for (int i = 0; i < 40; i++) {
            int limit = i < 5 ? i : random.nextInt(lengthBytes);
            Throwable failure = catchThrowable(() -> save(new Failing(limit)));
            assertThat(failure).as("limit=%d", limit).isInstanceOf(UncheckedIOException.class);
            assertGoesOn();
        }
    }

    /// A stream that takes some bytes.
    private static final class Failing extends OutputStream {
        private int left;

        Failing(int left) {
            this.left = left;
        }

        @Override
        public void write(int b) throws IOException {
            write(new byte[1], 0, 1);
        }

        @Override
        public void write(byte[] b, int offset, int length) throws IOException {
            left -= length;
            if (left < 0) {
                throw new IOException("the reader is gone");
            }
        }
    }

    /// The machine runs, its devices work, no log is left, and it can be saved.
    private void assertGoesOn() {
        assertThat(machine.vm.dirtyLog().mode()).isEqualTo(new DirtyLogMode.Off());
        machine.store(0x5000, 8, 7);
        assertThat(machine.load(0x5000, 8)).isEqualTo(7);
        for (AttachedDevice device : machine.vm.devices()) {
            assertThat(device.mdev().driver().isStopped()).isFalse();
            machine.store(device.barGpa(0).orElseThrow(), 8, 8);
        }
        var _ = saved();
    }

    @Test
    void aDriverThatFailsInTheStopLeavesTheMachineAsItWas() {
        machine.attach();
        machine.attach();
        PciDriver.Device second = machine.device(1);
        List<String> steps = new ArrayList<>();
        Runnable fails =
                () -> {
                    steps.add("failed");
                    throw new MdevException(Errno.EIO, "broken");
                };
        Runnable works = () -> {};
        second.whenStopped = fails;
        assertThatThrownBy(this::saved).isInstanceOf(MdevException.class);
        second.whenStopped = works;
        assertGoesOn();
        second.whenSaved = fails;
        assertThatThrownBy(this::saved).isInstanceOf(MdevException.class);
        second.whenSaved = works;
        assertGoesOn();
        assertThat(steps).hasSize(2);
        second.savable = false;
        assertErrno(Errno.EOPNOTSUPP, this::saved);
        second.savable = true;
        assertGoesOn();
    }

    @Test
    void aSaveNeedsTheDirtyLogAndTheOperatorCannotTakeItMeanwhile() {
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        machine.store(0x5000, 8, 1);
        assertErrno(Errno.EBUSY, this::saved);
        assertThat(machine.vm.dirtyLog().slots().dirty()).isEqualTo(1);
        machine.vm.setDirtyLog(new DirtyLogMode.Off());

        machine.attach();
        List<Throwable> refused = new ArrayList<>();
        MachineDirtyLog log = machine.vm.dirtyLog();
        machine.device(0).whenStopped =
                () -> {
                    refused.add(
                            catchThrowable(
                                    () -> machine.vm.setDirtyLog(new DirtyLogMode.Bitmap())));
                    refused.add(catchThrowable(log::takeSlots));
                    refused.add(catchThrowable(() -> log.takePart(new DirtyLogClear(0, 64, 0))));
                };
        var _ = saved();
        assertThat(refused)
                .hasSize(3)
                .allSatisfy(refusal ->
                        assertThat(refusal)
                                .isInstanceOfSatisfying(
                                        MdevException.class,
                                        e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY)));
        assertGoesOn();
    }

    @Test
    void theStopCopiesNoMoreThanItsLimitAndElseTheMachineGoesOnUnsaved() {
        machine.attach();
        machine.device(0).whenStopped =
                () -> {
                    for (int page = 0; page < 10; page++) {
                        machine.device(0)
                                .memory()
                                .write(gpaOf(page), MemorySegment.ofArray(new byte[8]));
                    }
                };
        OutputStream nowhere = OutputStream.nullOutputStream();
        MachineSave impatient = new MachineSave(machine.vm, machine.bus, 9);
        assertErrno(Errno.EAGAIN, () -> save(impatient, nowhere));
        assertGoesOn();
        assertThat(save(new MachineSave(machine.vm, machine.bus, 10), nowhere).stoppedPages())
                .isEqualTo(10);
    }

    @Test
    void aProgramInADriverThatDoesNotReturnCannotBeHeldAndGoesOn() {
        AttachedDevice device = machine.attach();
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        machine.device(0).whenWritten =
                () -> {
                    asked.countDown();
                    awaitUninterrupted(goOn);
                };
        GuestProgram.Step store =
                new GuestProgram.Step.Write(
                        new Span(device.barGpa(2).orElseThrow(), 8, 1, 0), 1, 0);
        CompletableFuture<ProgramResult> program =
                machine.vm
                        .vcpu(1)
                        .execute(new GuestProgram(List.of(store), false), PciMachine.PATIENCE);
        awaitUninterrupted(asked);

        assertErrno(Errno.EBUSY, () -> machine.vm.hold(Duration.ofMillis(50)));

        goOn.countDown();
        assertThat(program.join().end()).isEqualTo(ProgramResult.End.COMPLETED);
        assertGoesOn();
    }

    private static void awaitUninterrupted(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
