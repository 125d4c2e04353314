package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;
import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
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
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());

        machine.store(0x5000, 8, 1);
        machine.store(bar + 0x1000, 8, 1);

        assertThat(dirtyPages(ram())).containsExactly(5L);
        assertThat(dirtyPages(machine.deviceSlots().getFirst())).containsExactly(1L);
    }

    @Test
    void aDeviceThatComesLaterIsLoggedFromItsFirstStore() {
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        long bar = machine.attach().barGpa(0).orElseThrow();

        machine.store(bar + 0x1000, 8, 1);

        assertThat(dirtyPages(machine.deviceSlots().getFirst())).containsExactly(1L);
    }

    @Test
    void aBarThatIsDecodedAgainIsLoggedAndHasItsEarlierDirtyPages() {
        AttachedDevice device = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        machine.store(bar, 8, 1);

        machine.store(device.configGpa() + COMMAND, 2, MASTER);
        machine.store(device.configGpa() + COMMAND, 2, MASTER | MEMORY);
        machine.store(bar + 0x1000, 8, 1);

        assertThat(dirtyPages(machine.deviceSlots().getFirst())).containsExactly(0L, 1L);
    }

    @Test
    void aBarThatIsCoveredInPartKeepsTheLogOfTheRestAndGetsTheCoveredPagesBack() {
        AttachedDevice device = machine.attach();
        AttachedDevice cover = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        for (int page : new int[] {0, 4, 9}) {
            machine.store(bar + Page.addressOf(page), 8, 1);
        }

        cover.config().write(0x18, 8, bar + 4 * Page.SIZE + 256);

        assertThat(dirtyGfns(bar)).containsExactly(0L, 9L);
        machine.store(bar + 5 * Page.SIZE, 8, 1);
        cover.config().write(0x18, 8, ELSEWHERE);
        assertThat(dirtyGfns(bar)).containsExactly(0L, 4L, 5L, 9L);
        machine.vm.setDirtyLog(new DirtyLogMode.Off());
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        assertThat(dirtyGfns(bar)).as("a new log").isEmpty();
    }

    @Test
    void theLogIsReportedBySlotAndByMemoryWithWhatDevicesWrite() {
        AttachedDevice device = machine.attach();
        MachineDirtyLog log = machine.vm.dirtyLog();
        assertThat(log.slots().parts()).isEmpty();
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        machine.store(0x5000, 8, 1);
        machine.device(0).memory().write(0x6ffc, MemorySegment.ofArray(new byte[8]));
        machine.store(device.barGpa(0).orElseThrow() + 0x3000, 8, 1);

        List<DirtyPages> expected =
                List.of(
                        new DirtyPages(
                                new DirtyPages.Of.Ram(),
                                Page.numberOf(PciMachine.RAM_BYTES),
                                List.of(new DirtyPages.Run(5, 3))),
                        new DirtyPages(
                                new DirtyPages.Of.Area(device.mdev().uuid(), 0, 0),
                                PciDriver.PAGES,
                                List.of(new DirtyPages.Run(3, 1))));
        assertThat(log.memory().parts()).isEqualTo(expected);
        assertThat(log.slots().parts())
                .extracting(DirtyPages::runs)
                .containsExactly(expected.get(0).runs(), expected.get(1).runs());

        device.config().write(COMMAND, 2, MASTER);
        assertThat(log.slots().parts()).hasSize(1);
        assertThat(log.memory().parts()).as("hidden memory, too").isEqualTo(expected);
        assertThat(log.takeSlots().parts()).extracting(DirtyPages::dirty).containsExactly(3L);
        assertThat(log.memory().parts()).extracting(DirtyPages::dirty).containsExactly(0L, 1L);
    }

    /// The dirty pages of all slots of devices, from an address.
    private List<Long> dirtyGfns(long gpa) {
        return machine.deviceSlots().stream()
                .flatMap(slot ->
                        dirtyPages(slot).stream()
                                .map(page -> slot.baseGfn() + page - Page.numberOf(gpa)))
                .sorted()
                .toList();
    }

    @Test
    void aBarThatMovesKeepsItsLog() {
        AttachedDevice device = machine.attach();
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
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
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        machine.store(0x5000, 8, 1);
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        assertThat(dirtyPages(ram())).containsExactly(5L);

        machine.vm.setDirtyLog(new DirtyLogMode.Off());

        assertThat(ram().logsDirty()).isFalse();
        assertThat(machine.deviceSlots()).noneMatch(Memslot::logsDirty);
        machine.attach();
        assertThat(machine.deviceSlots()).noneMatch(Memslot::logsDirty);
    }

    @Test
    void ifASlotRefusesNoneIsLogged() {
        machine.attach();
        machine.vm.slots().addListener(new RefusesLogsOfDevices());

        assertErrno(Errno.ENOMEM, () -> machine.vm.setDirtyLog(new DirtyLogMode.Bitmap()));

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
