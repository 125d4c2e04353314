package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;
import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.List;
import java.util.Objects;
import java.util.stream.LongStream;

/// Logging of all of a machine's memory, while slots appear, disappear and move.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DirtyLoggingTest {
    private static final long ELSEWHERE = 1L << 39;

    private final PciMachine machine = new PciMachine();

    @AfterEach
    void stop() {
        machine.close();
    }

    @Test
    void ramAndTheSlotsOfDevicesAreLogged() {
        AttachedDevice device = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        machine.vm.setDirtyLogging(true);

        machine.store(0x5000, 8, 1);
        machine.store(bar + 0x1000, 8, 1);

        assertThat(dirtyPages(ram())).containsExactly(5L);
        assertThat(dirtyPages(machine.deviceSlots().getFirst())).containsExactly(1L);
    }

    @Test
    void aDeviceThatComesLaterIsLoggedFromItsFirstStore() {
        machine.vm.setDirtyLogging(true);
        long bar = machine.attach().barGpa(0).orElseThrow();

        machine.store(bar + 0x1000, 8, 1);

        assertThat(dirtyPages(machine.deviceSlots().getFirst())).containsExactly(1L);
    }

    @Test
    void aBarThatIsDecodedAgainIsLogged() {
        AttachedDevice device = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        machine.vm.setDirtyLogging(true);
        machine.store(bar, 8, 1);

        machine.store(device.configGpa() + COMMAND, 2, MASTER);
        machine.store(device.configGpa() + COMMAND, 2, MASTER | MEMORY);
        machine.store(bar + 0x1000, 8, 1);

        assertThat(dirtyPages(machine.deviceSlots().getFirst())).containsExactly(1L);
    }

    @Test
    void aBarThatMovesKeepsItsLog() {
        AttachedDevice device = machine.attach();
        machine.vm.setDirtyLogging(true);
        machine.store(device.barGpa(0).orElseThrow(), 8, 1);

        machine.store(device.configGpa() + 0x10, 8, ELSEWHERE);
        machine.store(ELSEWHERE + 0x1000, 8, 1);

        Memslot moved =
                machine.deviceSlots().stream()
                        .filter(slot -> PciMachine.gpaOf(slot) == ELSEWHERE)
                        .findFirst()
                        .orElseThrow();
        assertThat(dirtyPages(moved)).containsExactly(0L, 1L);
    }

    @Test
    void stoppingEndsAllLogsAndStartingTwiceKeepsThem() {
        machine.attach();
        machine.vm.setDirtyLogging(true);
        machine.store(0x5000, 8, 1);
        machine.vm.setDirtyLogging(true);
        assertThat(dirtyPages(ram())).containsExactly(5L);

        machine.vm.setDirtyLogging(false);

        assertThat(ram().logsDirty()).isFalse();
        assertThat(machine.deviceSlots()).noneMatch(Memslot::logsDirty);
        machine.attach();
        assertThat(machine.deviceSlots()).noneMatch(Memslot::logsDirty);
    }

    @Test
    void ifASlotRefusesNoneIsLogged() {
        machine.attach();
        machine.vm.slots().addListener(new RefusesLogsOfDevices());

        assertErrno(Errno.ENOMEM, () -> machine.vm.setDirtyLogging(true));

        assertThat(ram().logsDirty()).isFalse();
        assertThat(machine.deviceSlots()).isNotEmpty().noneMatch(Memslot::logsDirty);
        machine.attach();
        assertThat(machine.deviceSlots()).noneMatch(Memslot::logsDirty);
    }

    private Memslot ram() {
        return Objects.requireNonNull(machine.vm.slots().slotOf(0));
    }

    private static List<Long> dirtyPages(Memslot slot) {
        DirtyBitmap bitmap = Objects.requireNonNull(slot.bitmap());
        return LongStream.range(0, slot.npages()).filter(bitmap::test).boxed().toList();
    }

    private static final class RefusesLogsOfDevices implements SlotListener {
        @Override
        public void prepare(SlotChange change) {
            Memslot slot = change.newSlot();
            if (slot != null && slot.id() != 0 && slot.logsDirty()) {
                throw new MdevException(Errno.ENOMEM, "no memory for a log");
            }
        }

        @Override
        public void flush(Memslot invalid) {}

        @Override
        public void commit(SlotChange change) {}
    }
}
