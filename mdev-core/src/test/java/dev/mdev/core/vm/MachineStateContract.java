package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.machinestate.ProgramPosition;
import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.pci.Interrupt;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;

/// Machines that are saved while they run, and restored, on any engine.
abstract class MachineStateContract extends SavedMachine {
    /// More pages than may be left for the stop.
    private static final int WRITTEN_PAGES = 2000;

    @Test
    void aMachineIsRestoredWithItsMemoryItsDevicesAndWhatItsGuestSetUp() {
        var gone = machine.attach();
        AttachedDevice device = machine.attach();
        machine.vm.detach(gone.mdev().uuid());
        long elsewhere = machine.vm.addresses().barWindowGpa() / 2;
        device.config().write(0x10, 8, elsewhere);
        assertThat(device.enableMessages()).isEqualTo(8);
        mask(device, 3);
        PciDriver.Device driver = machine.device(1);
        driver.context.interrupts().trigger(3);
        driver.registers[5] = 77;
        machine.store(0x5008, 8, 0x1234);
        machine.store(RAM_BYTES - 8, 8, 0x5678);
        machine.store(elsewhere + 0x3000, 8, 0x9abc);

        MachineRestore.Restored copy = restore(saved());

        AttachedDevice its = copy.machine().devices().getFirst();
        assertThat(its.deviceNumber()).isEqualTo(device.deviceNumber()).isEqualTo(2);
        assertThat(its.config().dump()).isEqualTo(device.config().dump());
        assertThat(its.barGpas()).isEqualTo(device.barGpas());
        assertThat(its.reservedGpas()).isEqualTo(device.reservedGpas());
        assertThat(its.function().interruptState()).isEqualTo(device.function().interruptState());
        assertThat(load(copy.machine(), 0x5008)).isEqualTo(0x1234);
        assertThat(load(copy.machine(), RAM_BYTES - 8)).isEqualTo(0x5678);
        assertThat(load(copy.machine(), elsewhere + 0x3000)).isEqualTo(0x9abc);
        assertThat(machine.device(2).registers[5]).isEqualTo((byte) 77);
        assertThat(machine.device(2).events).contains("resume");

        // What was pending is sent when the guest unmasks it, to where the guest said.
        assertThat(its.interrupts().count(3)).isZero();
        unmask(copy.machine(), its, 3);
        assertThat(its.interrupts().lastMessage(3))
                .contains(new Interrupt.Message(true, 3, 0xfee0_0000L, 3));
        // The saved machine has its own.
        machine.store(0x5008, 8, 1);
        assertThat(load(copy.machine(), 0x5008)).isEqualTo(0x1234);
        assertThat(driver.events).contains("stop", "resume");
    }

    private void mask(AttachedDevice device, int vector) {
        machine.store(vectorControl(device, vector), 4, 1);
    }

    private static void unmask(VirtualMachine vm, AttachedDevice device, int vector) {
        run(
                vm,
                new GuestProgram.Step.Write(
                        new Span(vectorControl(device, vector), 4, 1, 0), 0, 0));
    }

    private static long vectorControl(AttachedDevice device, int vector) {
        int place = (int) device.config().read(device.config().capability(0x11) + 4, 4);
        return device.barGpa(place & 7).orElseThrow() + (place & ~7) + vector * 16L + 12;
    }

    @Test
    void aLineThatWaitsForItsEndDoesNotInterruptAgain() {
        AttachedDevice device = machine.attach();
        machine.device(0).context.interrupts().setLine(true);
        assertThat(device.interrupts().lineCount()).isOne();

        AttachedDevice its = restore(saved()).machine().devices().getFirst();

        assertThat(its.interrupts().lineCount()).isZero();
        assertThat(its.function().interruptState().lineAsserted()).isTrue();
        its.interrupts().endOfLineInterrupt();
        assertThat(its.interrupts().lineCount()).isOne();
    }

    @Test
    void aFunctionThatSleepsOrDecodesNothingIsRestoredSo() {
        AttachedDevice device = machine.attach();
        device.config().write(COMMAND, 2, MASTER);
        AttachedDevice sleeper = machine.attach();
        sleeper.config().write(sleeper.config().capability(1) + 4, 2, 3);

        List<AttachedDevice> theirs = restore(saved()).machine().devices();

        assertThat(theirs).extracting(AttachedDevice::barGpas).allMatch(gpas -> gpas.isEmpty());
        theirs.get(0).config().write(COMMAND, 2, MASTER | MEMORY);
        assertThat(theirs.get(0).barGpas()).isEqualTo(device.reservedGpas());
        assertThat(theirs.get(1).config().dump()).isEqualTo(sleeper.config().dump());
    }

    /// Program `k` writes `k` to the pages in turn. So after a stop in program `k` at page `c`, the
    /// pages before it have `k`, and the others `k - 1`.
    @Test
    void aGuestThatWritesAllTheTimeContinuesWithTheRightBytes() {
        machine.attach();
        AtomicBoolean enough = new AtomicBoolean();
        Programs programs = new Programs();
        CompletableFuture<Void> guest =
                CompletableFuture.runAsync(
                        () -> {
                            while (!enough.get()) {
                                assertThat(run(machine.vm, writing(0, programs.done() + 1)).end())
                                        .isEqualTo(ProgramResult.End.COMPLETED);
                                programs.oneMore();
                            }
                        },
                        PciMachine.THREADS);
        programs.awaitMore(1);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        // The stream takes no more than the guest writes in a while.
        SaveReport report =
                save(
                        new OutputStream() {
                            private int parts;

                            @Override
                            public void write(int b) {
                                bytes.write(b);
                            }

                            @Override
                            public void write(byte[] b, int offset, int length) {
                                bytes.write(b, offset, length);
                                if (length > Page.SIZE && parts++ < 100) {
                                    programs.awaitMore(1);
                                }
                            }
                        });
        enough.set(true);
        guest.join();

        assertThat(report.rounds()).isGreaterThan(2);
        assertThat(report.stopNanos()).isPositive();
        MachineRestore.Restored copy = restore(bytes.toByteArray());
        assertThat(copy.report()).isEqualTo(report);
        ProgramPosition position = copy.positions().getFirst();
        assertThat(copy.positions().get(1)).isEqualTo(ProgramPosition.IDLE);
        long last = load(copy.machine(), gpaOf(WRITTEN_PAGES - 1));
        int done = position.running() ? (int) position.completed() : 0;
        // A program that has not begun, or has ended, wrote nothing in part.
        int split = done == WRITTEN_PAGES ? 0 : done;
        for (int page = 0; page < WRITTEN_PAGES; page++) {
            assertThat(load(copy.machine(), gpaOf(page)))
                    .as("page=%d of %s", page, position)
                    .isEqualTo(page < split ? last + 1 : last);
        }
        assertThat(run(copy.machine(), writing(split, last + 1)).end())
                .isEqualTo(ProgramResult.End.COMPLETED);
        Span all = new Span(gpaOf(0), 8, WRITTEN_PAGES, Page.SIZE);
        assertThat(
                        run(copy.machine(), new GuestProgram.Step.Check(all, last + 1, 0))
                                .steps()
                                .getFirst()
                                .mismatches())
                .isZero();
    }

    private static GuestProgram.Step writing(int first, long value) {
        return new GuestProgram.Step.Write(
                new Span(gpaOf(first), 8, WRITTEN_PAGES - first, Page.SIZE), value, 0);
    }

    /// Counts complete programs.
    private static final class Programs {
        private long done;

        synchronized long done() {
            return done;
        }

        synchronized void oneMore() {
            done++;
            notifyAll();
        }

        synchronized void awaitMore(int count) {
            long wanted = done + count;
            while (done < wanted) {
                try {
                    wait();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IllegalStateException(e);
                }
            }
        }
    }

    @Test
    void pagesOfZeroesTakeNoRoom() {
        machine.store(0x5000, 8, 1);
        assertThat(saved().length).isBetween(Page.SIZE, 2 * Page.SIZE);
    }

    @Test
    void aPageThatBecomesZeroAfterItWasCopiedIsZero() {
        int pages = 100;
        run(machine.vm, new GuestProgram.Step.Write(new Span(gpaOf(0), 8, pages, Page.SIZE), 1, 0));
        CountDownLatch once = new CountDownLatch(1);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        save(
                new OutputStream() {
                    @Override
                    public void write(int b) {
                        bytes.write(b);
                    }

                    @Override
                    public void write(byte[] b, int offset, int length) {
                        bytes.write(b, offset, length);
                        if (bytes.size() > 2 * Page.SIZE && once.getCount() > 0) {
                            once.countDown();
                            machine.store(gpaOf(0), 8, 0);
                        }
                    }
                });

        VirtualMachine copy = restore(bytes.toByteArray()).machine();
        assertThat(load(copy, gpaOf(0))).isZero();
        assertThat(load(copy, gpaOf(pages - 1))).isEqualTo(1);
    }

    @Test
    void allDevicesStandStillUntilTheLastIsSaved() {
        machine.attach();
        machine.attach();
        List<String> order = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            String name = "device" + i;
            machine.device(i).whenStopped = () -> order.add(name + " stop");
            machine.device(i).whenSaved = () -> order.add(name + " save");
            machine.device(i).whenResumed = () -> order.add(name + " resume");
        }
        var _ = saved();
        assertThat(order)
                .containsExactly(
                        "device0 stop",
                        "device1 stop",
                        "device0 save",
                        "device1 save",
                        "device1 resume",
                        "device0 resume");
    }

    @Test
    void whatADeviceWritesByDmaWhileSavedIsInTheState() {
        machine.attach();
        PciDriver.Device device = machine.device(0);
        device.whenStopped =
                () -> device.memory().write(0x7000, MemorySegment.ofArray(new long[] {5}));

        assertThat(load(restore(saved()).machine(), 0x7000)).isEqualTo(5);
    }

    @Test
    void aMachineWithRingsIsSavedAndRestored() {
        machine.vm.setDirtyLog(new DirtyLogMode.Ring(256));
        machine.store(0x5000, 8, 5);
        machine.vm.setDirtyLog(new DirtyLogMode.Off());
        assertThat(load(restore(saved()).machine(), 0x5000)).isEqualTo(5);
        machine.vm.setDirtyLog(new DirtyLogMode.Ring(256));
    }

    @Test
    void aMachineWithoutRamIsSavedAndRestored() {
        try (PciMachine small = new PciMachine(new MachineSpec("vm", 0, 1), engine(), backend())) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            SaveReport report = new MachineSave(small.vm, small.bus).run(out);
            assertThat(report.rounds()).isZero();
            assertThat(restore(out.toByteArray()).machine().spec().ramBytes()).isZero();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
