package dev.mdev.core.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;

import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/// System management mode as the MMU sees it: a root of its own in both designs, and a TLB that
/// forgets at every switch.
class SmmRootsTest {
    private static final long SMRAM_GPA = 0xa0000;
    private static final int IN_SMM = 1 << 16;

    /// A page that both modes see, and the page next to it.
    private static final long COMMON_GPA = 0x10_0000;

    @Nested
    class WithAnAddressSpaceOfItsOwn {
        private final MmuMachine machine = new MmuMachine(SlotConfig.x86());

        @Test
        void aProcessorInTheModeWalksTheOtherRoot() {
            try (machine) {
                Vma video = machine.map(1);
                Vma smram = machine.map(1);
                machine.slot(0, 0, SMRAM_GPA, Page.SIZE, video.range().startHva());
                machine.slot(IN_SMM, 0, SMRAM_GPA, Page.SIZE, smram.range().startHva());
                machine.store(SMRAM_GPA, 1);

                switchTo(machine, true);
                assertThat(machine.load(SMRAM_GPA)).as("nothing of the other memory").isZero();
                machine.store(SMRAM_GPA, 2);

                assertThat(machine.guest.mmu().leaves(1)).as("one leaf in each root").isEqualTo(2);
                switchTo(machine, false);
                assertThat(machine.load(SMRAM_GPA)).isEqualTo(1);
                switchTo(machine, true);
                assertThat(machine.load(SMRAM_GPA)).isEqualTo(2);
            }
        }

        /// Both translations are in their tables: only what the processor cached can be wrong.
        @Test
        void nothingThatTheProcessorCachedOutlivesASwitchInEitherDirection() {
            try (machine) {
                Vma video = machine.map(1);
                Vma smram = machine.map(1);
                machine.slot(0, 0, SMRAM_GPA, Page.SIZE, video.range().startHva());
                machine.slot(IN_SMM, 0, SMRAM_GPA, Page.SIZE, smram.range().startHva());
                switchTo(machine, true);
                machine.store(SMRAM_GPA, 200);
                switchTo(machine, false);
                machine.store(SMRAM_GPA, 100);

                for (int round = 0; round < 3; round++) {
                    switchTo(machine, true);
                    assertThat(machine.load(SMRAM_GPA)).isEqualTo(200 + round);
                    machine.store(SMRAM_GPA, 201 + round);
                    switchTo(machine, false);
                    assertThat(machine.load(SMRAM_GPA)).isEqualTo(100 + round);
                    machine.store(SMRAM_GPA, 101 + round);
                }
            }
        }

        @Test
        void whatIsRememberedAsAbsentInOneModeIsFoundInTheOther() {
            try (machine) {
                Vma smram = machine.map(1);
                machine.slot(IN_SMM, 0, SMRAM_GPA, Page.SIZE, smram.range().startHva());
                for (int round = 0; round < 2; round++) {
                    switchTo(machine, false);
                    assertThat(machine.store(SMRAM_GPA, 1)).isInstanceOf(VcpuExit.MmioWrite.class);
                    assertThat(machine.store(SMRAM_GPA, 1)).isInstanceOf(VcpuExit.MmioWrite.class);
                    switchTo(machine, true);
                    assertThat(machine.store(SMRAM_GPA, 5)).isInstanceOf(VcpuExit.Done.class);
                }
            }
        }

        @Test
        void aChangeOfAHostPageTakesItFromBothRoots() {
            try (machine) {
                Vma ram = machine.map(2);
                machine.slot(0, 0, COMMON_GPA, 2 * Page.SIZE, ram.range().startHva());
                machine.slot(IN_SMM, 0, COMMON_GPA, 2 * Page.SIZE, ram.range().startHva());
                touchInBothModes(machine, COMMON_GPA);
                assertThat(machine.guest.mmu().leaves(1)).isEqualTo(2);

                machine.guest.hostMm().zap(HvaRange.ofPages(ram.range().startHva(), 1));

                assertThat(machine.guest.mmu().leaves(1)).isZero();
            }
        }
    }

    @Nested
    class WithTheSmramFlag {
        private final MmuMachine machine = new MmuMachine(SlotConfig.withSmramFlag());
        private final Stage2Mmu mmu = machine.guest.mmu();

        private Memslot commonSlot() {
            return Objects.requireNonNull(machine.slots.slotOf(0));
        }

        @Test
        void whatTheModeMappedIsHiddenFromAProcessorOutside() {
            try (machine) {
                Vma smram = machine.map(1);
                machine.slot(1, SlotFlags.SMRAM, SMRAM_GPA, Page.SIZE, smram.range().startHva());
                switchTo(machine, true);
                assertThat(machine.store(SMRAM_GPA, 7)).isInstanceOf(VcpuExit.Done.class);

                switchTo(machine, false);

                assertThat(machine.tryLoad(SMRAM_GPA))
                        .isEqualTo(new VcpuExit.MmioRead(SMRAM_GPA, 8));
                assertThat(machine.store(SMRAM_GPA, 8))
                        .isEqualTo(new VcpuExit.MmioWrite(SMRAM_GPA, 8, 8));
                switchTo(machine, true);
                assertThat(machine.load(SMRAM_GPA)).isEqualTo(7);
            }
        }

        @Test
        void eachModeHasALeafOfItsOwnForWhatBothSee() {
            try (machine) {
                Vma ram = machine.map(1);
                machine.slot(0, 0, COMMON_GPA, Page.SIZE, ram.range().startHva());

                touchInBothModes(machine, COMMON_GPA);

                assertThat(mmu.leaves(1)).isEqualTo(2);
            }
        }

        @Test
        void aChangeOfAHostPageTakesItFromBothRoots() {
            try (machine) {
                Vma ram = machine.map(2);
                machine.slot(0, 0, COMMON_GPA, 2 * Page.SIZE, ram.range().startHva());
                touchInBothModes(machine, COMMON_GPA);

                machine.guest.hostMm().zap(HvaRange.ofPages(ram.range().startHva(), 1));

                assertThat(mmu.leaves(1)).isZero();
            }
        }

        @Test
        void theRightToWriteIsTakenFromBothRoots() {
            try (machine) {
                Vma ram = machine.map(1);
                machine.slot(
                        0,
                        SlotFlags.LOG_DIRTY_PAGES,
                        COMMON_GPA,
                        Page.SIZE,
                        ram.range().startHva());
                List<Long> marked = new ArrayList<>();
                machine.slots.setDirtySink((slot, page, vcpu) -> marked.add(page));
                touchInBothModes(machine, COMMON_GPA);
                marked.clear();
                touchInBothModes(machine, COMMON_GPA);
                assertThat(marked).as("still writable").isEmpty();

                mmu.writeProtect(commonSlot(), 0, 1);

                assertMarkedInEachMode(marked);
            }
        }

        @Test
        void aHarvestTakesTheRightToWriteFromBothRoots() {
            try (machine) {
                Vma ram = machine.map(1);
                machine.slot(
                        0,
                        SlotFlags.LOG_DIRTY_PAGES,
                        COMMON_GPA,
                        Page.SIZE,
                        ram.range().startHva());
                List<Long> marked = new ArrayList<>();
                machine.slots.setDirtySink((slot, page, vcpu) -> marked.add(page));
                touchInBothModes(machine, COMMON_GPA);
                marked.clear();

                mmu.dirtyProtector().protect(commonSlot(), 0, 1);
                mmu.dirtyProtector().flush();
                assertMarkedInEachMode(marked);
                mmu.dirtyProtector().protectWords(commonSlot(), 0, new long[] {1}, 1);
                mmu.dirtyProtector().flush();
                assertMarkedInEachMode(marked);
            }
        }

        /// A store in each mode is logged, each by its own leaf.
        private void assertMarkedInEachMode(List<Long> marked) {
            marked.clear();
            switchTo(machine, false);
            machine.store(COMMON_GPA, 1);
            assertThat(marked).as("outside of the mode").containsExactly(0L);
            switchTo(machine, true);
            machine.store(COMMON_GPA, 2);
            assertThat(marked).as("in the mode").containsExactly(0L, 0L);
        }

        @Test
        void deletingASlotTakesItFromBothRoots() {
            try (machine) {
                Vma ram = machine.map(1);
                machine.slot(0, 0, COMMON_GPA, Page.SIZE, ram.range().startHva());
                touchInBothModes(machine, COMMON_GPA);

                machine.delete(0);

                assertThat(mmu.leaves(1)).isZero();
                assertThat(machine.tryLoad(COMMON_GPA)).isInstanceOf(VcpuExit.MmioRead.class);
                switchTo(machine, false);
                assertThat(machine.tryLoad(COMMON_GPA)).isInstanceOf(VcpuExit.MmioRead.class);
            }
        }
    }

    private static void touchInBothModes(MmuMachine machine, long gpa) {
        for (boolean inSmm : new boolean[] {false, true}) {
            switchTo(machine, inSmm);
            assertThat(machine.store(gpa, 1)).isInstanceOf(VcpuExit.Done.class);
        }
    }

    private static void switchTo(MmuMachine machine, boolean inSmm) {
        machine.vcpu.smm().set(inSmm);
    }
}
