package dev.mdev.core.guestmem;

import static dev.mdev.core.memslot.SlotFlags.LOG_DIRTY_PAGES;
import static dev.mdev.core.memslot.SlotFlags.READONLY;
import static dev.mdev.core.memslot.SlotRequests.HVA;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.guestmem.HostMemoryAccess.Exchange;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Hva;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.memslot.VcpuMemslots;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Guest memory of the tests: frames 0x10 to 0x13 are slot 1, 0x14 to 0x15 slot 2 at unrelated host
/// memory, 0x16 slot 3, read-only; 0x17 is a hole. All log.
class SlotAccessorTest {
    private static final long HVA_1 = HVA;
    private static final long HVA_2 = HVA + 0x5000_0000L;
    private static final long HVA_3 = HVA + 0x2000_0000L;

    private final AddressSpaces spaces = new AddressSpaces(SlotConfig.x86());
    private final FakeHostMemory host = new FakeHostMemory();
    private final GuestMemoryAccess memory = new GuestMemoryAccess(spaces, host);
    private final List<String> marks = new ArrayList<>();

    @BeforeEach
    void createSlots() {
        create(1, LOG_DIRTY_PAGES, 0x10, 4, HVA_1);
        create(2, LOG_DIRTY_PAGES, 0x14, 2, HVA_2);
        create(3, LOG_DIRTY_PAGES | READONLY, 0x16, 1, HVA_3);
        spaces.setDirtySink((slot, page, vcpu) ->
                marks.add("slot%d+%d by %d".formatted(slot.id(), page, vcpu)));
    }

    @Test
    void aWriteWithinAPageMarksItAndIsReadBack() {
        assertThat(memory.write(0x10_123, bytes(1, 2, 3))).isEqualTo(AccessOutcome.ok());
        assertThat(read(0x10_122, 5)).containsExactly(0, 1, 2, 3, 0);
        assertThat(host.byteAt(HVA_1 + 0x124)).isEqualTo((byte) 2);
        assertThat(marks).containsExactly("slot1+0 by -1");
    }

    @Test
    void aWriteAcrossPagesMarksBoth() {
        memory.write(0x10_ffe, bytes(1, 2, 3, 4));
        assertThat(marks).containsExactly("slot1+0 by -1", "slot1+1 by -1");
        assertThat(read(0x10_ffe, 4)).containsExactly(1, 2, 3, 4);
    }

    @Test
    void aWriteAcrossSlotsMarksOnePageInEach() {
        memory.write(0x13_ffe, bytes(1, 2, 3, 4));
        assertThat(marks).containsExactly("slot1+3 by -1", "slot2+0 by -1");
        assertThat(host.byteAt(HVA_2 + 1)).isEqualTo((byte) 4);
        assertThat(read(0x13_ffe, 4)).containsExactly(1, 2, 3, 4);
    }

    @Test
    void aWriteThatRunsIntoAReadOnlySlotKeepsAndMarksItsFirstPart() {
        assertThat(memory.write(0x15_ffe, bytes(1, 2, 3, 4)))
                .isEqualTo(new AccessOutcome.Fault(0x16_000));
        assertThat(host.byteAt(HVA_2 + 0x1fff)).isEqualTo((byte) 2);
        assertThat(host.byteAt(HVA_3)).isZero();
        assertThat(marks).containsExactly("slot2+1 by -1");
    }

    @Test
    void aReadOnlySlotIsReadAndNeverMarked() {
        assertThat(read(0x16_000, 8)).hasSize(8);
        assertThat(memory.write(0x16_010, bytes(1))).isEqualTo(new AccessOutcome.Fault(0x16_010));
        assertThat(memory.compareExchange(0x16_010, 4, 0, 1)).isEqualTo(Exchange.FAULT);
        assertThat(marks).isEmpty();
    }

    @Test
    void aReadThatRunsIntoAHoleFaultsThere() {
        assertThat(memory.read(0x16_ffc, MemorySegment.ofArray(new byte[8])))
                .isEqualTo(new AccessOutcome.Fault(0x17_000));
    }

    @Test
    void anAccessOfNoBytesSucceedsAnywhere() {
        assertThat(memory.read(0x9999_9999L, bytes()).isOk()).isTrue();
        assertThat(memory.write(-1, bytes()).isOk()).isTrue();
        assertThat(memory.clear(0x17_000, 0).isOk()).isTrue();
        assertThat(marks).isEmpty();
    }

    @Test
    void anAccessDoesNotWrapFromTheLastGpaToTheFirst() {
        create(9, 0, 0, 1, HVA + 0x9000_0000L);
        assertThat(memory.read(-1L, MemorySegment.ofArray(new byte[2])).isOk()).isFalse();
    }

    @Test
    void aPageWhoseCopyBreaksIsNotMarkedThoughSomeOfItWasWritten() {
        host.breakWritesAfter(HVA_1 + 0x1000, 2);
        assertThat(memory.write(0x10_ffe, bytes(1, 2, 3, 4, 5, 6)))
                .isEqualTo(new AccessOutcome.Fault(0x11_000));
        assertThat(host.byteAt(HVA_1 + 0x1001)).isEqualTo((byte) 4);
        assertThat(host.byteAt(HVA_1 + 0x1002)).isZero();
        assertThat(marks).containsExactly("slot1+0 by -1");
    }

    @Test
    void hostMemoryThatIsNotThereFaults() {
        host.unmapPage(HVA_1);
        assertThat(memory.read(0x10_000, MemorySegment.ofArray(new byte[1])).isOk()).isFalse();
        assertThat(memory.write(0x10_000, bytes(1)).isOk()).isFalse();
        assertThat(memory.compareExchange(0x10_000, 1, 0, 1)).isEqualTo(Exchange.FAULT);
        assertThat(marks).isEmpty();
        host.mapPages(HVA_1, 1);
        assertThat(memory.write(0x10_000, bytes(1)).isOk()).isTrue();
    }

    @Test
    void clearWritesZerosAcrossPagesAndKeepsItsFirstPart() {
        byte[] ones = new byte[3 * Page.SIZE];
        Arrays.fill(ones, (byte) 1);
        memory.write(0x13_000, MemorySegment.ofArray(ones));
        marks.clear();

        assertThat(memory.clear(0x13_800, 3 * Page.SIZE))
                .isEqualTo(new AccessOutcome.Fault(0x16_000));
        assertThat(read(0x13_7ff, 1)).containsExactly(1);
        assertThat(read(0x13_800, 2 * Page.SIZE + 0x800)).containsOnly(0);
        assertThat(marks).containsExactly("slot1+3 by -1", "slot2+0 by -1", "slot2+1 by -1");
    }

    @Test
    void aReadWithoutFaultNeedsResidentMemoryOfOnePage() {
        host.setResident(HVA_1, false);
        MemorySegment four = MemorySegment.ofArray(new byte[4]);
        assertThat(memory.readWithoutFault(0x10_000, four))
                .isEqualTo(new AccessOutcome.Fault(0x10_000));
        assertThat(memory.read(0x10_000, four).isOk()).isTrue();
        assertThat(memory.readWithoutFault(0x10_000, four).isOk()).isTrue();
        assertThat(memory.readWithoutFault(0x10_ffe, four).isOk()).isFalse();
    }

    @Test
    void compareExchangeMarksThePageWhetherItExchangesOrNot() {
        assertThat(memory.compareExchange(0x10_008, 8, 0, 0x0102_0304_0506_0708L))
                .isEqualTo(Exchange.EXCHANGED);
        assertThat(memory.compareExchange(0x10_008, 4, 7, 8)).isEqualTo(Exchange.DIFFERENT);
        assertThat(memory.compareExchange(0x10_00e, 2, 0x0102, 0xbeef))
                .isEqualTo(Exchange.EXCHANGED);
        assertThat(memory.compareExchange(0x10_008, 1, 0x1_08, 0x09)).isEqualTo(Exchange.EXCHANGED);
        assertThat(read(0x10_008, 8)).containsExactly(9, 7, 6, 5, 4, 3, 0xef, 0xbe);
        assertThat(marks).hasSize(4);
    }

    @Test
    void compareExchangeTakesAlignedPowersOfTwoOnly() {
        assertThatThrownBy(() -> memory.compareExchange(0x10_002, 4, 0, 0))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> memory.compareExchange(0x10_000, 3, 0, 0))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> memory.compareExchange(0x10_000, 16, 0, 0))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> memory.compareExchange(0x10_000, 0, 0, 0))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void translationToldApartWhyItFails() {
        assertThat(memory.hvaOf(0x15, Access.WRITE)).isEqualTo(HVA_2 + 0x1000);
        assertThat(memory.hvaOf(0x16, Access.READ)).isEqualTo(HVA_3);
        assertThat(memory.hvaOf(0x16, Access.WRITE)).isEqualTo(Hva.READONLY_BAD);
        assertThat(memory.hvaOf(0x17, Access.READ)).isEqualTo(Hva.BAD);
        assertThat(Hva.isError(Hva.BAD)).isTrue();
        assertThat(Hva.isError(Hva.READONLY_BAD)).isTrue();
        assertThat(Hva.isError(HVA_3)).isFalse();
    }

    @Test
    void anInvalidSlotFaultsInsteadOfBeingAbsent() {
        List<AccessOutcome> outcomes = new ArrayList<>();
        spaces.addListener(
                new SlotListener() {
                    @Override
                    public void prepare(SlotChange change) {}

                    @Override
                    public void flush(Memslot invalid) {
                        outcomes.add(memory.read(0x10_000, MemorySegment.ofArray(new byte[1])));
                        outcomes.add(memory.write(0x10_000, bytes(1)));
                    }

                    @Override
                    public void commit(SlotChange change) {}
                });
        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(1));
        assertThat(outcomes).hasSize(2).allMatch(outcome -> !outcome.isOk());
        assertThat(marks).isEmpty();
    }

    @Test
    void aVcpuWritesThroughTheAddressSpaceOfItsModeAndTheMachineThroughTheFirst() {
        create(1 << 16 | 1, LOG_DIRTY_PAGES, 0x10, 1, HVA_3);
        VcpuMemslots slots = new VcpuMemslots(spaces, 7);
        VcpuMemoryAccess vcpu = new VcpuMemoryAccess(slots, host);

        slots.setInSmm(true);
        vcpu.write(0x10_000, bytes(5));
        assertThat(host.byteAt(HVA_3)).isEqualTo((byte) 5);
        assertThat(vcpu.write(0x11_000, bytes(5)).isOk()).as("nothing is inherited").isFalse();
        memory.write(0x10_000, bytes(6));
        slots.setInSmm(false);
        vcpu.write(0x11_000, bytes(5));
        vcpu.markPageDirty(0x12);
        memory.markPageDirty(0x12);
        memory.markPageDirty(0x17);

        assertThat(host.byteAt(HVA_1)).isEqualTo((byte) 6);
        assertThat(marks)
                .containsExactly(
                        "slot1+0 by 7",
                        "slot1+0 by -1",
                        "slot1+1 by 7",
                        "slot1+2 by 7",
                        "slot1+2 by -1");
    }

    @Test
    void aSlotThatDoesNotLogIsNeverMarked() {
        create(4, 0, 0x20, 1, HVA + 0x7000_0000L);
        memory.write(0x20_000, bytes(1));
        memory.markPageDirty(0x20);
        assertThat(marks).isEmpty();
    }

    @Test
    void dirtyIsTheSlotThatWasUsedNotTheHostMemoryBehind() {
        create(4, LOG_DIRTY_PAGES, 0x20, 1, HVA_1);
        memory.write(0x20_000, bytes(1));
        assertThat(read(0x10_000, 1)).containsExactly(1);
        assertThat(marks).containsExactly("slot4+0 by -1");
    }

    private void create(int slot, int flags, long gfn, long npages, long hva) {
        spaces.setUserMemoryRegion(
                new UserMemoryRegion(
                        slot, flags, Page.addressOf(gfn), Page.addressOf(npages), hva));
        host.mapPages(hva, npages);
    }

    private byte[] read(long gpa, int count) {
        byte[] bytes = new byte[count];
        assertThat(memory.read(gpa, MemorySegment.ofArray(bytes))).isEqualTo(AccessOutcome.ok());
        return bytes;
    }

    private static MemorySegment bytes(int... values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return MemorySegment.ofArray(bytes);
    }
}
