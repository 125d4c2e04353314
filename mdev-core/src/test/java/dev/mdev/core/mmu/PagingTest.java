package dev.mdev.core.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.software.SoftwareOptions;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.mmu.MmuRules.Paging;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/// What KVM's two MMUs do differently, and what they do alike.
class PagingTest {
    private static final long GPA = 1L << 30;
    private static final int LOG = SlotFlags.LOG_DIRTY_PAGES;

    private static MmuMachine machine(Paging paging) {
        return new MmuMachine(SlotConfig.withoutSmm(), SoftwareOptions.DEFAULT.with(paging));
    }

    /// The dirty pages of slot 0, which are taken.
    private static BitSet dirty(MmuMachine machine) {
        byte[] bits = new byte[512 / Byte.SIZE];
        machine.guest.dirtyLog().get(0, MemorySegment.ofArray(bits));
        return BitSet.valueOf(bits);
    }

    @ParameterizedTest
    @CsvSource({"SHADOW, {5}", "TWO_DIMENSIONAL, '{3, 5}'"})
    void aLoadMarksAPageWhereTheProcessorWalksBothTables(Paging paging, String marked) {
        try (MmuMachine machine = machine(paging)) {
            machine.slot(0, LOG, GPA, 8 * Page.SIZE, machine.map(8).range().startHva());
            machine.load(GPA + 3 * Page.SIZE);
            machine.store(GPA + 5 * Page.SIZE, 1);

            assertThat(dirty(machine)).hasToString(marked);

            machine.load(GPA + 3 * Page.SIZE);
            assertThat(dirty(machine))
                    .as("it is still mapped, without the permission")
                    .hasToString("{}");
            machine.store(GPA + 3 * Page.SIZE, 1);
            assertThat(dirty(machine)).hasToString("{3}");
        }
    }

    @ParameterizedTest
    @EnumSource
    void aLoadOfMemoryThatTheHostMayNotWriteMarksNothing(Paging paging) {
        try (MmuMachine machine = machine(paging)) {
            HostMemory.Block block = machine.memory.allocate("rom", 8);
            Vma rom = machine.guest.hostMm().mapEagerly(block.pfns(), Prot.READ);
            machine.slot(0, LOG, GPA, 8 * Page.SIZE, rom.range().startHva());

            machine.load(GPA);

            assertThat(dirty(machine)).hasToString("{}");
            assertThat(machine.store(GPA, 1))
                    .isInstanceOfSatisfying(
                            VcpuExit.Fault.class,
                            fault -> assertThat(fault.refusal().errno()).isEqualTo(Errno.EFAULT));
        }
    }

    /// Under shadow paging the others fault again.
    @ParameterizedTest
    @CsvSource({"SHADOW, 1", "TWO_DIMENSIONAL, 512"})
    void aStoreToALargeLeafThatLogsLeavesSmallLeaves(Paging paging, long leaves) {
        try (MmuMachine machine = machine(paging)) {
            Vma ram = machine.map(MmuMachine.PAGES_2M);
            machine.slot(0, 0, GPA, MmuMachine.SIZE_2M, ram.range().startHva());
            machine.load(GPA);
            assertThat(machine.guest.mmu().leaves(2)).isOne();
            machine.slot(0, LOG, GPA, MmuMachine.SIZE_2M, ram.range().startHva());

            machine.store(GPA + 7 * Page.SIZE, 1);

            assertThat(machine.guest.mmu().leaves(1)).isEqualTo(leaves);
            assertThat(machine.guest.mmu().leaves(2)).isZero();
            machine.load(GPA + 9 * Page.SIZE);
            BitSet expected = new BitSet();
            expected.set(7);
            if (paging == Paging.TWO_DIMENSIONAL) {
                machine.store(GPA + 11 * Page.SIZE, 1);
                expected.set(11);
            }
            assertThat(dirty(machine)).as("no load of a part marks it").isEqualTo(expected);
        }
    }

    @ParameterizedTest
    @EnumSource
    void theEndOfLoggingKeepsLeavesThatCannotBeLarger(Paging paging) {
        try (MmuMachine machine = machine(paging)) {
            HostMemory.Block block = machine.memory.allocate("ram", 2 * MmuMachine.PAGES_2M);
            long hva =
                    machine.guest
                            .hostMm()
                            .mapEagerly(
                                    new PfnRange(block.pfns().firstPfn(), block.pfns().npages()),
                                    Prot.READ_WRITE)
                            .range()
                            .startHva();
            // A page off, so that no leaf can be large.
            machine.slot(0, LOG, GPA + Page.SIZE, MmuMachine.SIZE_2M, hva);
            machine.store(GPA + Page.SIZE, 1);

            machine.slot(0, 0, GPA + Page.SIZE, MmuMachine.SIZE_2M, hva);

            assertThat(machine.guest.mmu().leaves(1)).isOne();
        }
    }
}
