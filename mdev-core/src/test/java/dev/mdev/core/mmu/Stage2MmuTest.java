package dev.mdev.core.mmu;

import static dev.mdev.core.mmu.MmuMachine.PAGES_2M;
import static dev.mdev.core.mmu.MmuMachine.SIZE_2M;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;

class Stage2MmuTest {
    private static final int LOG = SlotFlags.LOG_DIRTY_PAGES;

    private final MmuMachine machine = new MmuMachine(SlotConfig.x86());
    private final Stage2Mmu mmu = machine.guest.mmu();

    /// Pages that were reported dirty in address space 0.
    private final BitSet dirty = new BitSet();

    @AfterEach
    void close() {
        machine.close();
    }

    @Test
    void memoryThatIsCongruentIsMappedByLargeLeaves() {
        Vma ram = machine.map(8 * PAGES_2M);
        machine.slot(0, 0, 0, 8 * SIZE_2M, ram.range().startHva());

        machine.touch(0, 8 * PAGES_2M);

        assertThat(mmu.leaves(2)).isEqualTo(8);
        assertThat(mmu.leaves(1)).isZero();
    }

    @Test
    void aSkewOfOnePageBetweenGuestAndHostTakesAllLargeLeaves() {
        Vma ram = machine.map(8 * PAGES_2M);
        machine.slot(0, 0, Page.SIZE, 8 * SIZE_2M, ram.range().startHva());

        machine.touch(Page.SIZE, 8 * PAGES_2M);

        assertThat(mmu.leaves(2)).isZero();
        assertThat(mmu.leaves(1)).isEqualTo(8 * PAGES_2M);
    }

    @Test
    void aRaggedSlotHasSmallLeavesAtItsEndsOnly() {
        Vma ram = machine.map(8 * PAGES_2M);
        long hva = ram.range().startHva() + Page.SIZE;
        machine.slot(0, 0, Page.SIZE, 8 * SIZE_2M - 2 * Page.SIZE, hva);

        machine.touch(Page.SIZE, 8 * PAGES_2M - 2);

        assertThat(mmu.leaves(2)).isEqualTo(6);
        assertThat(mmu.leaves(1)).isEqualTo(2 * (PAGES_2M - 1));
    }

    @Test
    void aGibibyteIsOneLeaf() {
        long npages = 1L << 18;
        HostMemory.Block block = machine.memory.allocate("big", 2 * npages);
        long first = (block.pfns().firstPfn() + npages - 1) & -npages;
        Vma ram = machine.guest.hostMm().mapEagerly(new PfnRange(first, npages), Prot.READ_WRITE);
        machine.slot(0, 0, 1L << 30, 1L << 30, ram.range().startHva());

        assertThat(machine.store((1L << 30) + 0x1234_5678, 7)).isInstanceOf(VcpuExit.Done.class);
        machine.touch(1L << 30, 1024);

        assertThat(mmu.leaves(3)).isOne();
        assertThat(mmu.leaves(1)).isZero();
        assertThat(machine.load((1L << 30) + 0x1234_5678)).isEqualTo(7);
    }

    @Test
    void pagesGrantedOneByOneBecomeALargeLeafOnceTheyAreWhole() {
        HostMemory.Block block = machine.memory.allocate("vram", 2 * PAGES_2M);
        long first = (block.pfns().firstPfn() + PAGES_2M - 1) & -PAGES_2M;
        Vma vma =
                machine.guest
                        .hostMm()
                        .reserve(
                                PAGES_2M,
                                Prot.READ_WRITE,
                                0,
                                fault ->
                                        new Fill.Map(
                                                fault.page(),
                                                new PfnRange(first + fault.page(), 1),
                                                Prot.READ_WRITE));
        machine.slot(0, 0, SIZE_2M, SIZE_2M, vma.range().startHva());

        machine.touch(SIZE_2M, PAGES_2M - 1);
        assertThat(mmu.leaves(1)).isEqualTo(PAGES_2M - 1);
        machine.touch(SIZE_2M, PAGES_2M);

        assertThat(mmu.leaves(2)).isOne();
        assertThat(mmu.leaves(1)).isZero();

        machine.guest.hostMm().zap(HvaRange.ofPages(vma.range().startHva() + Page.SIZE, 1));
        assertThat(mmu.leaves(2)).isZero();
        machine.store(SIZE_2M + Page.SIZE, 5);
        assertThat(machine.load(SIZE_2M + Page.SIZE)).isEqualTo(5);
    }

    @Test
    void beginningToLogKeepsLargeLeavesForLoadsAndSplitsOnTheFirstStore() {
        Vma ram = machine.map(8 * PAGES_2M);
        long hva = ram.range().startHva();
        machine.slot(0, 0, 0, 8 * SIZE_2M, hva);
        machine.touch(0, 8 * PAGES_2M);
        collectDirty();

        machine.slot(0, LOG, 0, 8 * SIZE_2M, hva);
        assertThat(mmu.leaves(2)).isEqualTo(8);
        machine.touch(0, 8 * PAGES_2M);
        assertThat(mmu.leaves(2)).isEqualTo(8);
        assertThat(dirty.isEmpty()).isTrue();

        machine.store(5 * Page.SIZE, 1);

        assertThat(mmu.leaves(2)).isEqualTo(7);
        assertThat(mmu.leaves(1)).isOne();
        assertThat(dirty).isEqualTo(BitSet.valueOf(new long[] {1L << 5}));
    }

    @Test
    void endingToLogBringsLargeLeavesBack() {
        Vma ram = machine.map(8 * PAGES_2M);
        long hva = ram.range().startHva();
        machine.slot(0, LOG, 0, 8 * SIZE_2M, hva);
        machine.touch(0, 8 * PAGES_2M);
        assertThat(mmu.leaves(1)).isEqualTo(8 * PAGES_2M);

        machine.slot(0, 0, 0, 8 * SIZE_2M, hva);
        assertThat(mmu.leaves(1)).isZero();
        machine.touch(0, 8 * PAGES_2M);

        assertThat(mmu.leaves(2)).isEqualTo(8);
    }

    @Test
    void eachPageIsLoggedOnceUntilItIsProtectedAgain() {
        Vma ram = machine.map(4);
        machine.slot(0, LOG, 0, 4 * Page.SIZE, ram.range().startHva());
        collectDirty();

        machine.load(2 * Page.SIZE);
        assertThat(dirty.isEmpty()).as("a load is no store").isTrue();
        machine.store(2 * Page.SIZE, 1);
        machine.store(2 * Page.SIZE + 8, 2);
        assertThat(dirty.stream().toArray()).containsExactly(2);

        dirty.clear();
        machine.store(2 * Page.SIZE, 3);
        assertThat(dirty.isEmpty()).as("still writable").isTrue();
        mmu.writeProtect(slot(0), 2, 1);
        machine.store(2 * Page.SIZE, 4);
        assertThat(dirty.stream().toArray()).containsExactly(2);
    }

    @Test
    void aStoreToAReadOnlySlotExitsAndLogsNothing() {
        Vma ram = machine.map(4);
        machine.slot(0, LOG | SlotFlags.READONLY, 0, 4 * Page.SIZE, ram.range().startHva());
        collectDirty();

        assertThat(machine.load(0)).isZero();
        assertThat(machine.store(0, 0x1122)).isEqualTo(new VcpuExit.MmioWrite(0, 8, 0x1122));

        assertThat(machine.load(0)).isZero();
        assertThat(dirty.isEmpty()).isTrue();
    }

    @Test
    void deletingASlotDropsTheMappingsOfAllByDefault() {
        Vma ram = machine.map(513);
        machine.slot(0, LOG, Page.SIZE, 513L * Page.SIZE, ram.range().startHva());
        machine.slot(1, 0, 1L << 30, Page.SIZE, ram.range().startHva());
        machine.touch(Page.SIZE, 513);
        assertThat(mmu.leaves(1)).isEqualTo(513);

        machine.delete(1);

        assertThat(mmu.leaves(1)).isZero();
    }

    @Test
    void creatingASlotAndTogglingAnotherDropNothing() {
        Vma ram = machine.map(16);
        machine.slot(0, LOG, Page.SIZE, 16L * Page.SIZE, ram.range().startHva());
        machine.touch(Page.SIZE, 16);

        machine.slot(1, 0, 1L << 30, Page.SIZE, ram.range().startHva());
        machine.slot(1, LOG, 1L << 30, Page.SIZE, ram.range().startHva());

        assertThat(mmu.leaves(1)).isEqualTo(16);
    }

    @Test
    void memoryThatAppearsWhereAbsenceWasRememberedIsSeen() {
        Vma ram = machine.map(4);
        for (int i = 0; i < 3; i++) {
            assertThat(machine.store(0x5000, 1)).isEqualTo(new VcpuExit.MmioWrite(0x5000, 8, 1));
        }

        machine.slot(0, 0, 0x4000, 4 * Page.SIZE, ram.range().startHva());

        assertThat(machine.store(0x5000, 9)).isInstanceOf(VcpuExit.Done.class);
        assertThat(machine.load(0x5000)).isEqualTo(9);
        machine.delete(0);
        assertThat(machine.tryLoad(0x5000)).isEqualTo(new VcpuExit.MmioRead(0x5000, 8));
    }

    @Test
    void touchingEveryHoleDoesNotFillTheHost() {
        for (long i = 0; i < 40_000; i++) {
            assertThat(machine.store((i << 30) & ((1L << 51) - 1), 1))
                    .isInstanceOf(VcpuExit.MmioWrite.class);
        }
        // A node of the tree is 4 or 8 KiB: this is what bounds them.
        assertThat(mmu.leaves(1)).isZero();
    }

    @Test
    void aliasesOfOneBackingAreZappedTogether() {
        Vma ram = machine.map(4);
        machine.slot(0, 0, 0, 4 * Page.SIZE, ram.range().startHva());
        machine.slot(1, 0, 0x10_0000, 4 * Page.SIZE, ram.range().startHva());
        machine.store(0, 77);
        assertThat(machine.load(0x10_0000)).isEqualTo(77);
        assertThat(mmu.leaves(1)).isEqualTo(2);

        machine.guest.hostMm().zap(HvaRange.ofPages(ram.range().startHva(), 1));

        assertThat(mmu.leaves(1)).isZero();
        assertThat(machine.load(0x10_0000)).isEqualTo(77);
    }

    @Test
    void writesToAWatchedPageAreDoneAndTold() {
        Vma ram = machine.map(4);
        machine.slot(0, LOG, 0, 4 * Page.SIZE, ram.range().startHva());
        collectDirty();
        List<String> told = new ArrayList<>();
        mmu.tracking().addTracker((gpa, width, _) -> told.add(gpa + "/" + width));
        machine.store(Page.SIZE, 1);

        mmu.watchWrites(slot(0), 1);
        machine.store(Page.SIZE + 8, 2);
        machine.store(Page.SIZE + 16, 3);
        machine.store(2 * Page.SIZE, 4);

        assertThat(told).containsExactly(Page.SIZE + 8 + "/8", Page.SIZE + 16 + "/8");
        assertThat(machine.load(Page.SIZE + 16)).isEqualTo(3);
        assertThat(dirty.stream().toArray()).containsExactly(1, 2);

        mmu.unwatchWrites(slot(0), 1);
        machine.store(Page.SIZE + 24, 5);
        assertThat(told).hasSize(2);
    }

    @Test
    void aWatchedPageKeepsItsBlockFromBeingOneLeaf() {
        Vma ram = machine.map(PAGES_2M);
        machine.slot(0, 0, 0, SIZE_2M, ram.range().startHva());
        mmu.watchWrites(slot(0), 7);

        machine.touch(0, PAGES_2M);

        assertThat(mmu.leaves(2)).isZero();
    }

    @Test
    void pagesAreYoungFromTheirUseUntilTheyAreAged() {
        Vma ram = machine.map(4);
        machine.slot(0, LOG, 0, 4 * Page.SIZE, ram.range().startHva());
        HvaRange first = HvaRange.ofPages(ram.range().startHva(), 1);

        assertThat(mmu.clearYoung(first)).isFalse();
        machine.load(0);
        assertThat(mmu.clearYoung(first)).isTrue();
        assertThat(mmu.clearYoung(first)).isFalse();
        machine.load(8);
        assertThat(mmu.clearYoung(first)).isTrue();
    }

    @Test
    void addressSpacesHaveRootsOfTheirOwn() {
        Vma ram = machine.map(4);
        Vma smram = machine.map(4);
        machine.slot(0, 0, 0xa0000, 4 * Page.SIZE, ram.range().startHva());
        machine.slot(1 << 16, 0, 0xa0000, 4 * Page.SIZE, smram.range().startHva());

        machine.store(0xa0000, 1);

        assertThat(machine.load(0xa0000)).isEqualTo(1);
        assertThat(readPhysical(smram)).isZero();
        assertThat(mmu.leaves(1)).isOne();
    }

    private long readPhysical(Vma vma) {
        var value = MemorySegment.ofArray(new long[1]);
        assertThat(machine.guest.hostMm().copyFrom(vma.range().startHva(), value)).isNull();
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    private Memslot slot(int number) {
        return Objects.requireNonNull(machine.slots.slotOf(number));
    }

    private void collectDirty() {
        machine.slots.setDirtySink((slot, page, vcpu) -> dirty.set((int) page));
    }
}
