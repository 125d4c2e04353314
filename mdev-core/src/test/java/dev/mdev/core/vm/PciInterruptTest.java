package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MEMORY;
import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MsixPlacement;
import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.pci.Interrupt;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;

/// Interrupts as a guest sets them up by its own loads and stores.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PciInterruptTest {
    private static final int LINE_DISABLE = 1 << 10;

    private final PciMachine machine = new PciMachine();

    @AfterEach
    void stop() {
        machine.close();
    }

    @Test
    void theGuestSetsUpAnMsixVectorInTheAddedBar() {
        AttachedDevice device = machine.attach();
        int capability = device.config().capability(0x11);
        long table = machine.load(device.configGpa() + capability + 4, 4);
        long entry = device.barGpa((int) table & 7).orElseThrow() + (table & ~7L) + 2 * 16;
        machine.store(device.configGpa() + capability + 2, 2, 1 << 15);
        machine.store(entry, 4, 0xfee0_2000L);
        machine.store(entry + 4, 4, 0);
        machine.store(entry + 8, 4, 0x31);
        machine.device(0).context.interrupts().trigger(2);
        assertThat(device.interrupts().count(2)).isZero();

        machine.store(entry + 12, 4, 0);

        assertThat(device.interrupts().count(2)).isOne();
        assertThat(device.interrupts().lastMessage(2))
                .contains(new Interrupt.Message(true, 2, 0xfee0_2000L, 0x31));
    }

    @Test
    void pendingBitsAreReadInTheBarAndNotWritten() {
        AttachedDevice device = machine.attach();
        int capability = device.config().capability(0x11);
        long place = device.config().read(capability + 8, 4);
        long pba = device.barGpa((int) place & 7).orElseThrow() + (place & ~7L);
        device.config().write(capability + 2, 2, 1 << 15);
        machine.device(0).context.interrupts().trigger(1);
        machine.device(0).context.interrupts().trigger(7);

        assertThat(machine.load(pba, 8)).isEqualTo(0x82);
        machine.store(pba, 8, 0);
        assertThat(machine.load(pba, 1)).isEqualTo(0x82);
        assertThat(machine.load(pba + 1, 4)).isZero();
    }

    @Test
    void theTableMayLieInATrappedPartOfTheDriversOwnBar() {
        machine.driver.regions =
                List.of(RegionInfo.of(0, "registers", 8192, RegionArea.Kind.TRAPPED));
        machine.driver.irqs = new IrqInfo(false, 0, 2);
        machine.driver.options =
                new PciOptions(false, Optional.of(new MsixPlacement(0, 256, 512)), List.of());
        AttachedDevice device = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        PciDriver.Device driver = machine.device(0);
        assertThat(device.barGpas()).hasSize(1);

        assertThat(device.enableMessages()).isEqualTo(2);
        driver.context.interrupts().trigger(1);

        assertThat(device.interrupts().count(1)).isOne();
        assertThat(driver.events).isEmpty();
        assertThat(machine.load(bar + 256 + 16, 8)).isEqualTo(0xfee0_0000L);
        // Two bytes of the driver's before the table, two bytes of the table.
        machine.store(bar + 254, 4, 0x1234_beefL);
        assertThat(machine.load(bar + 256, 2)).isEqualTo(0x1234);
        assertThat(driver.events).containsExactly("write 0+254/1=ef", "write 0+255/1=be");
        assertThat(machine.load(bar + 288, 4)).isZero();
        assertThat(driver.events).hasSize(3).last().isEqualTo("read 0+288/4");
        assertThat(machine.load(bar + 512, 8)).isZero();
        assertThat(driver.events).hasSize(3);
    }

    @Test
    void enablingAllMessagesTakesMsiWhereThereIsNoMsix() {
        machine.driver.irqs = new IrqInfo(false, 4, 0);
        AttachedDevice device = machine.attach();

        assertThat(device.enableMessages()).isEqualTo(4);
        for (int vector = 0; vector < 4; vector++) {
            machine.device(0).context.interrupts().trigger(vector);
            assertThat(device.interrupts().lastMessage(vector))
                    .contains(new Interrupt.Message(false, vector, 0xfee0_0000L, vector));
        }
        machine.driver.irqs = IrqInfo.NONE;
        assertThat(machine.attach().enableMessages()).isZero();
    }

    @Test
    void theLineInterruptsOnceUntilTheGuestIsDoneWithIt() {
        AttachedDevice device = machine.attach();
        var interrupts = machine.device(0).context.interrupts();

        interrupts.setLine(true);
        assertThat(device.interrupts().lineCount()).isOne();
        device.interrupts().endOfLineInterrupt();
        assertThat(device.interrupts().lineCount()).isEqualTo(2);
        interrupts.setLine(false);
        device.interrupts().endOfLineInterrupt();
        assertThat(device.interrupts().lineCount()).isEqualTo(2);
        device.enableMessages();
        assertErrno(Errno.EINVAL, () -> device.interrupts().endOfLineInterrupt());
    }

    @Test
    void aDisabledLineShowsInTheStatusAndInterruptsWhenItIsEnabled() {
        AttachedDevice device = machine.attach();
        machine.store(device.configGpa() + COMMAND, 2, MEMORY | LINE_DISABLE);
        machine.device(0).context.interrupts().setLine(true);
        assertThat(device.interrupts().lineCount()).isZero();
        assertThat(machine.load(device.configGpa() + 6, 2) & 8).isEqualTo(8);

        machine.store(device.configGpa() + COMMAND, 2, MEMORY);

        assertThat(device.interrupts().lineCount()).isOne();
    }

    @Test
    void waitingEndsWithTheInterruptOrTheTime() throws Exception {
        AttachedDevice device = machine.attach();
        device.enableMessages();
        CompletableFuture<Boolean> waiting =
                CompletableFuture.supplyAsync(() -> await(device, 3, 2), PciMachine.THREADS);
        machine.device(0).context.interrupts().trigger(3);
        machine.device(0).context.interrupts().trigger(3);

        assertThat(waiting.get()).isTrue();
        assertThat(device.interrupts().await(3, 3, Duration.ofMillis(1))).isFalse();
        assertThat(device.interrupts().awaitLine(1, Duration.ZERO)).isFalse();
    }

    private static boolean await(AttachedDevice device, int vector, long count) {
        try {
            return device.interrupts().await(vector, count, Deadlines.HANG);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void observersHearEveryInterrupt() {
        AttachedDevice device = machine.attach();
        List<Interrupt> heard = new CopyOnWriteArrayList<>();
        device.interrupts().addObserver(heard::add);
        machine.device(0).context.interrupts().setLine(true);
        device.enableMessages();
        machine.device(0).context.interrupts().trigger(0);

        assertThat(heard)
                .containsExactly(
                        new Interrupt.Line(), new Interrupt.Message(true, 0, 0xfee0_0000L, 0));
    }

    @Test
    void whoWantsToRemoveAnAssignedDeviceIsRefusedAndTheGuestIsAsked() {
        AttachedDevice device = machine.attach();

        assertErrno(Errno.EBUSY, () -> machine.bus.remove(device.mdev().uuid()));

        assertThat(device.interrupts().releaseRequests()).isOne();
    }

    @Test
    void aDeviceThatIsNotAssignedInterruptsNobody() {
        AttachedDevice device = machine.attach();
        device.enableMessages();
        var interrupts = machine.device(0).context.interrupts();
        interrupts.trigger(0);
        machine.vm.detach(device.mdev().uuid());

        interrupts.trigger(0);
        interrupts.setLine(true);

        assertThat(device.interrupts().count(0)).isOne();
        assertThat(device.interrupts().lineCount()).isZero();
        AttachedDevice again = machine.vm.attach(device.mdev());
        assertThat(again.config().read(6, 2) & 8).isZero();
    }

    @Test
    void interruptsFromManyThreadsAreAllCounted() {
        AttachedDevice device = machine.attach();
        device.enableMessages();
        int capability = device.config().capability(0x11);
        int each = 2000;
        List<CompletableFuture<Void>> firing =
                List.of(0, 1, 2).stream()
                        .map(vector ->
                                CompletableFuture.runAsync(
                                        () -> {
                                            for (int i = 0; i < each; i++) {
                                                machine.device(0)
                                                        .context
                                                        .interrupts()
                                                        .trigger(vector);
                                            }
                                        },
                                        PciMachine.THREADS))
                        .toList();
        for (int i = 0; i < 200; i++) {
            device.config().write(capability + 2, 2, 1 << 15 | 1 << 14);
            device.config().write(capability + 2, 2, 1 << 15);
        }
        firing.forEach(CompletableFuture::join);

        for (int vector = 0; vector < 3; vector++) {
            // While the function is masked, any number of triggers becomes one.
            assertThat(device.interrupts().count(vector)).isBetween(1L, (long) each);
        }
        machine.device(0).context.interrupts().trigger(4);
        assertThat(device.interrupts().count(4)).isOne();
    }
}
