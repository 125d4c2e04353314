package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

class MemoryLayoutTest {
    private static final long ELSEWHERE = 1L << 39;
    private static final long VGA = 0xa0000;
    private static final long VGA_BYTES = 0x20000;

    private final PciMachine machine = new PciMachine();
    private final Refusals refusals = new Refusals();

    MemoryLayoutTest() {
        machine.vm.slots().addListener(refusals);
    }

    @AfterEach
    void stop() {
        machine.close();
    }

    private AttachedDevice attachDisplay(RegionArea.Kind kind, int classCode) {
        machine.driver.identity = new PciIdentity(0x1234, 0x1111, classCode, 2, 0x1af4, 0x1100);
        machine.driver.regions =
                List.of(
                        RegionInfo.of(2, "registers", 256, RegionArea.Kind.TRAPPED),
                        new RegionInfo(
                                RegionInfo.VGA,
                                "vga",
                                VGA + VGA_BYTES,
                                kind == RegionArea.Kind.TRAPPED
                                        ? List.of()
                                        : List.of(new RegionArea(VGA, VGA_BYTES, kind))));
        return machine.attach();
    }

    @Test
    void theMemoryOfAVgaDisplayHidesRamWhileItIsDecoded() {
        machine.store(VGA, 8, 0x11);
        machine.store(VGA + VGA_BYTES - 8, 8, 0x22);
        AttachedDevice display = attachDisplay(RegionArea.Kind.TRAPPED, 0x030000);
        machine.device(0).registers[0x10] = 0x55;

        assertThat(display.barGpas()).containsOnlyKeys(2, 4);
        assertThat(machine.load(VGA, 8)).isZero();
        machine.store(VGA + 8, 2, 0xbeef);
        assertThat(machine.device(0).events).contains("read 8+655360/8", "write 8+655368/2=beef");
        assertThat(machine.load(VGA - 8, 8)).as("below").isZero();

        machine.store(display.configGpa() + COMMAND, 2, MASTER);
        assertThat(machine.load(VGA, 8)).isEqualTo(0x11);
        assertThat(machine.load(VGA + 8, 8)).isZero();
        machine.store(display.configGpa() + COMMAND, 2, MASTER | MEMORY);
        assertThat(machine.load(VGA + VGA_BYTES - 8, 8)).isZero();
        machine.vm.detach(display.mdev().uuid());
        assertThat(machine.load(VGA + VGA_BYTES - 8, 8)).isEqualTo(0x22);
    }

    @Test
    void ramAroundVgaMemoryKeepsItsSlots() {
        AttachedDevice display = attachDisplay(RegionArea.Kind.TRAPPED, 0x030000);
        refusals.changed.clear();

        for (int i = 0; i < 3; i++) {
            display.config().write(COMMAND, 2, MASTER);
            display.config().write(COMMAND, 2, MASTER | MEMORY);
        }

        assertThat(refusals.changed).hasSize(6).allMatch(gfn -> gfn == Page.numberOf(VGA));
    }

    @Test
    void anotherDisplayHasNoVgaMemory() {
        machine.store(VGA, 8, 0x11);
        attachDisplay(RegionArea.Kind.TRAPPED, 0x038000);
        assertThat(machine.load(VGA, 8)).isEqualTo(0x11);
    }

    @Test
    void aBarWhoseSlotIsRefusedTrapsUntilItsNextChange() {
        AttachedDevice device = machine.attach();
        AttachedDevice other = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        machine.store(bar, 8, 42);
        refusals.refused = slot -> slot.baseGfn() == Page.numberOf(ELSEWHERE);

        machine.store(device.configGpa() + 0x10, 8, ELSEWHERE);

        assertThat(device.mappingFailure().map(MdevException::errno)).contains(Errno.ENOMEM);
        assertThat(machine.answers(bar)).isFalse();
        assertThat(machine.load(ELSEWHERE, 8)).isEqualTo(42);
        assertThat(machine.device(0).events).contains("read 0+0/8");
        other.config().write(0x10, 8, ELSEWHERE >> 1);
        assertThat(other.mappingFailure()).isEmpty();
        assertThat(machine.deviceSlots()).hasSize(1);
        refusals.refused = _ -> false;
        device.config().write(0x10, 8, bar);
        assertThat(device.mappingFailure()).isEmpty();
        assertThat(machine.deviceSlots()).hasSize(2);
        assertThat(machine.load(bar, 8)).isEqualTo(42);
    }

    @Test
    void ifTheRestOfACutBarIsRefusedEveryBarTrapsAndNoneShowsWhatItShouldNot() {
        AttachedDevice device = machine.attach();
        AttachedDevice cover = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        machine.store(bar, 8, 42);
        machine.device(1).registers[0] = 0x77;
        refusals.refused = slot -> slot.npages() < PciDriver.PAGES;

        cover.config().write(0x18, 8, bar + 4 * Page.SIZE);

        assertThat(machine.load(bar, 8)).isEqualTo(42);
        assertThat(machine.load(bar + 4 * Page.SIZE, 1)).isEqualTo(0x77);
        assertThat(device.mappingFailure()).isPresent();
        assertThat(machine.deviceSlots()).isEmpty();
        refusals.refused = _ -> false;
        cover.config().write(0x18, 8, ELSEWHERE);
        device.config().write(0x10, 8, ELSEWHERE >> 1);
        assertThat(machine.deviceSlots()).hasSize(2);
    }

    /// Refuses slots, and records the first frames of changed ones.
    private static final class Refusals implements SlotListener {
        volatile Predicate<Memslot> refused = _ -> false;
        final List<Long> changed = new ArrayList<>();

        @Override
        public void prepare(SlotChange change) {
            Memslot slot = change.newSlot();
            if (slot != null && refused.test(slot)) {
                throw new MdevException(Errno.ENOMEM, "asked to refuse");
            }
        }

        @Override
        public void flush(Memslot invalid) {}

        @Override
        public void commit(SlotChange change) {
            Memslot slot = change.newSlot() != null ? change.newSlot() : change.oldSlot();
            if (slot != null) {
                changed.add(slot.baseGfn());
            }
        }
    }
}
