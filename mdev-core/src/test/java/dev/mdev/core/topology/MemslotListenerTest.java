package dev.mdev.core.topology;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.SlotIds;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Objects;

class MemslotListenerTest {
    private static final long HVA = 0x7f00_0000_0000L;

    private final Topology topology = new Topology();
    private final SlotBench bench = new SlotBench();
    private final MemoryRegion root = MemoryRegion.wholeSpace(topology, "root");
    private MemslotListener listener = attach(SlotPolicy.linux());

    private MemslotListener attach(SlotPolicy policy) {
        MemslotListener attached = new MemslotListener(0, policy, bench, bench);
        topology.attach("memory", root, attached);
        return attached;
    }

    private MemslotListener instead(SlotPolicy policy) {
        listener = new MemslotListener(1, policy, bench, bench);
        topology.attach("other", root, listener);
        return listener;
    }

    private MemoryRegion ram(String name, long hva, long npages) {
        return MemoryRegion.ram(topology, name, HvaRange.ofPages(hva, npages));
    }

    private void place(MemoryRegion region, long gpa, int priority) {
        topology.edit(edit -> edit.add(root, region, gpa, priority));
    }

    private static UserMemoryRegion slot(int slot, int flags, long gpa, long npages, long hva) {
        return new UserMemoryRegion(slot, flags, gpa, npages << 12, hva);
    }

    private Memslot slotAt(long gfn) {
        return Objects.requireNonNull(bench.slots.active(0).find(gfn));
    }

    @Test
    void ramRomAndRomDeviceGetSlotsAndDevicesNone() {
        MemoryRegion flash =
                MemoryRegion.romDevice(topology, "flash", HvaRange.ofPages(HVA + 0x2000_0000, 2));
        place(ram("ram", HVA, 4), 0, 0);
        place(MemoryRegion.rom(topology, "rom", HvaRange.ofPages(HVA + 0x1000_0000, 1)), 0x8000, 0);
        place(flash, 0x10000, 0);
        place(MemoryRegion.mmio(topology, "uart", 8), 0x20000, 0);

        assertThat(listener.slots())
                .containsExactly(
                        slot(0, 0, 0, 4, HVA),
                        slot(1, SlotFlags.READONLY, 0x8000, 1, HVA + 0x1000_0000),
                        slot(2, SlotFlags.READONLY, 0x10000, 2, HVA + 0x2000_0000));

        topology.edit(edit -> edit.setRomMode(flash, false));
        assertThat(listener.slots()).hasSize(2);
        assertThat(bench.holds).isZero();
    }

    @Test
    void withoutReadonlySlotsRomTraps() {
        SlotPolicy policy = new SlotPolicy(SlotIds.USER_SLOTS, 1 << 20, false, true);
        place(MemoryRegion.rom(topology, "rom", HvaRange.ofPages(HVA, 1)), 0, 0);
        assertThat(instead(policy).slots()).isEmpty();
    }

    @Test
    void readonlyAliasOfRamIsAReadonlySlot() {
        MemoryRegion ram = ram("ram", HVA, 4);
        MemoryRegion pam = MemoryRegion.alias("pam", ram, 0x1000, 0x1000);
        place(ram, 0, 0);
        place(pam, 0x1000, 1);
        assertThat(bench.verbs()).containsExactly("create");

        topology.edit(edit -> edit.setReadonly(pam, true));
        assertThat(slotAt(0).isReadonly()).isFalse();
        assertThat(slotAt(1).isReadonly()).isTrue();
        assertThat(slotAt(1).hvaOf(1)).isEqualTo(HVA + 0x1000);
        assertThat(bench.verbs())
                .containsExactly("hold", "delete", "create", "create", "create", "release");
    }

    @Test
    void readonlyToggleDeletesAndCreatesWhileVcpusAreHeld() {
        MemoryRegion ram = ram("ram", HVA, 4);
        place(ram, 0, 0);
        bench.verbs();
        topology.edit(edit -> edit.setReadonly(ram, true));
        assertThat(bench.verbs()).containsExactly("hold", "delete", "create", "release");
    }

    @Test
    void partialPagesAreTrimmed() {
        place(ram("ram", HVA, 8), 0, 0);
        place(MemoryRegion.mmio(topology, "doorbell", 0x10), 0x3ff8, 1);
        assertThat(listener.slots())
                .extracting(UserMemoryRegion::gpa, UserMemoryRegion::sizeBytes)
                .containsExactlyInAnyOrder(tuple(0L, 0x3000L), tuple(0x5000L, 0x3000L));
        assertThat(slotAt(5).hvaOf(5)).isEqualTo(HVA + 0x5000);
    }

    @Test
    void aPieceWithoutAWholePageGetsNoSlot() {
        MemoryRegion ram = ram("ram", HVA, 1);
        place(MemoryRegion.alias("part", ram, 0x800, 0x800), 0x800, 0);
        assertThat(listener.slots()).isEmpty();
    }

    @Test
    void memoryThatNoPageTableCanMapIsRefused() {
        MdevException refusal =
                catchThrowableOfType(
                        MdevException.class, () -> place(ram("ram", HVA, 2), 0x800, 0));
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(listener.slots()).isEmpty();
        place(ram("again", HVA, 2), 0x1000, 0);
        assertThat(listener.slots()).hasSize(1);
    }

    @Test
    void longRunsAreCut() {
        place(ram("ram", HVA, 10), 0x4000, 0);
        assertThat(instead(new SlotPolicy(100, 4, true, true)).slots())
                .containsExactly(
                        slot(0x10000, 0, 0x4000, 4, HVA),
                        slot(0x10001, 0, 0x8000, 4, HVA + 0x4000),
                        slot(0x10002, 0, 0xc000, 2, HVA + 0x8000));
    }

    @Test
    void neighboursWithOneRunOfHostMemoryAreOneSlot() {
        place(ram("low", HVA, 2), 0, 0);
        place(ram("high", HVA + 0x2000, 2), 0x2000, 0);
        place(ram("elsewhere", HVA + 0x10000, 2), 0x4000, 0);
        assertThat(listener.slots()).hasSize(2);
        assertThat(slotAt(3).npages()).isEqualTo(4);
    }

    @Test
    void aPartThatIsKeptApartLeavesItsNeighboursAlone() {
        MemoryRegion ram = ram("ram", HVA, 8);
        MemoryRegion window = MemoryRegion.alias("window", ram, 0x2000, 0x1000);
        topology.edit(edit -> edit.setMergeable(window, false));
        place(MemoryRegion.alias("low", ram, 0, 0x2000), 0, 0);
        place(MemoryRegion.alias("high", ram, 0x3000, 0x5000), 0x3000, 0);
        bench.verbs();

        place(window, 0x2000, 0);
        topology.edit(edit -> edit.setEnabled(window, false));

        assertThat(bench.verbs()).containsExactly("create", "delete");
        assertThat(bench.holds).isZero();
    }

    @Test
    void theFramesThatSlotsWillLeaveAreKnownBefore() {
        MemoryRegion a = ram("a", HVA, 4);
        place(a, 0x10000, 0);
        place(ram("b", HVA + 0x100000, 4), 0x20000, 0);
        MemoryRegion hole = MemoryRegion.mmio(topology, "hole", 0x10);
        TopologySpace space = topology.attach("again", root, _ -> {});

        FlatView moved = topology.preview(space, edit -> edit.setOffset(a, 0x14000));
        FlatView cut = topology.preview(space, edit -> edit.add(root, hole, 0x21000, 1));

        assertThat(listener.leaving(space.view())).isEmpty();
        assertThat(listener.leaving(moved)).containsExactly(new GfnRange(0x10, 4));
        assertThat(listener.leaving(cut)).containsExactly(new GfnRange(0x20, 4));
    }

    @Test
    void tooManySlotsAreRefusedBeforeAnythingIsDone() {
        instead(new SlotPolicy(2, 1 << 20, true, true));
        place(ram("a", HVA, 1), 0, 0);
        place(ram("b", HVA + 0x10000, 1), 0x10000, 0);
        bench.verbs();
        MdevException refusal =
                catchThrowableOfType(
                        MdevException.class, () -> place(ram("c", HVA + 0x20000, 1), 0x20000, 0));
        assertThat(refusal.errno()).isEqualTo(Errno.ENOSPC);
        assertThat(listener.slots()).hasSize(2);
        // Address space 0 had followed already, and goes back.
        assertThat(bench.verbs()).containsExactly("create", "delete");
    }

    @Test
    void loggingIsChangedInPlace() {
        MemoryRegion ram = ram("ram", HVA, 4);
        place(ram, 0, 0);
        bench.verbs();
        topology.edit(edit -> edit.setLog(ram, DirtyClient.DISPLAY, true));
        topology.edit(edit -> edit.setLog(ram, DirtyClient.MIGRATION, true));
        topology.edit(edit -> edit.setLog(ram, DirtyClient.DISPLAY, false));
        assertThat(slotAt(0).logsDirty()).isTrue();
        topology.edit(edit -> edit.setLog(ram, DirtyClient.MIGRATION, false));
        assertThat(slotAt(0).logsDirty()).isFalse();
        assertThat(bench.verbs()).containsExactly("flags", "flags");
    }

    @Test
    void aBarThatIsMovedKeepsItsSlotAndItsDirtyBits() {
        MemoryRegion vram = ram("vram", HVA, 4);
        place(vram, 0x10000, 0);
        topology.edit(edit -> edit.setLog(vram, DirtyClient.DISPLAY, true));
        DirtyBitmap bitmap = Objects.requireNonNull(slotAt(0x10).bitmap());
        bitmap.set(3);
        bench.verbs();

        topology.edit(edit -> edit.setOffset(vram, 0x12000));
        assertThat(bench.verbs()).containsExactly("move");
        assertThat(slotAt(0x12).bitmap()).isSameAs(bitmap);
        assertThat(bench.holds).isZero();
    }

    @Test
    void movesThatFollowEachOtherAreOrdered() {
        MemoryRegion a = ram("a", HVA, 4);
        MemoryRegion b = ram("b", HVA + 0x100000, 4);
        place(a, 0x0000, 0);
        place(b, 0x4000, 0);
        bench.verbs();
        topology.edit(edit -> {
            edit.setOffset(a, 0x4000);
            edit.setOffset(b, 0x8000);
        });
        // a takes the addresses that b leaves: between the two requests a guest would find nothing
        // there.
        assertThat(bench.verbs()).containsExactly("hold", "move", "move", "release");
        assertThat(slotAt(4).hva()).isEqualTo(HVA);
        assertThat(slotAt(8).hva()).isEqualTo(HVA + 0x100000);
    }

    @Test
    void aSwapBreaksTheCircleWithADeletion() {
        MemoryRegion a = ram("a", HVA, 4);
        MemoryRegion b = ram("b", HVA + 0x100000, 4);
        place(a, 0x0000, 0);
        place(b, 0x4000, 0);
        bench.verbs();
        topology.edit(edit -> {
            edit.setOffset(a, 0x4000);
            edit.setOffset(b, 0);
        });
        assertThat(bench.verbs()).containsExactly("hold", "delete", "move", "create", "release");
        assertThat(slotAt(4).hva()).isEqualTo(HVA);
        assertThat(slotAt(0).hva()).isEqualTo(HVA + 0x100000);
    }

    @Test
    void whereSlotsCannotMoveTheyAreDeletedAndCreated() {
        MemoryRegion vram = ram("vram", HVA, 4);
        place(vram, 0x10000, 0);
        listener = instead(new SlotPolicy(10, 1 << 20, true, false));
        bench.verbs();
        topology.edit(edit -> edit.setOffset(vram, 0x12000));
        assertThat(bench.verbs()).containsExactly("move", "hold", "delete", "create", "release");
        topology.edit(edit -> edit.setOffset(vram, 0x100000));
        assertThat(bench.verbs()).containsExactly("move", "delete", "create");
    }

    @Test
    void aLogIsCollectedBeforeItsSlotGoes() {
        MemoryRegion vram = ram("vram", HVA, 4);
        place(vram, 0, 0);
        topology.edit(edit -> edit.setLog(vram, DirtyClient.DISPLAY, true));
        bench.verbs();
        topology.edit(edit -> edit.setEnabled(vram, false));
        assertThat(bench.verbs()).containsExactly("hold", "collect", "delete", "release");
    }

    @Test
    void unrelatedAdditionAndDeletionNeedNoPause() {
        MemoryRegion a = ram("a", HVA, 4);
        place(a, 0, 0);
        topology.edit(edit -> {
            edit.remove(a);
            edit.add(root, ram("b", HVA + 0x100000, 8), 0x10000, 0);
        });
        assertThat(bench.holds).isZero();
    }

    @Test
    void aRefusedRequestIsUndoneInReverse() {
        MemoryRegion ram = ram("ram", HVA, 4);
        place(ram, 0, 0);
        List<UserMemoryRegion> before = listener.slots();
        MemoryRegion hole = MemoryRegion.mmio(topology, "hole", 0x1000);
        bench.verbs();
        bench.refuseAfter = 2;

        MdevException refusal =
                catchThrowableOfType(MdevException.class, () -> place(hole, 0x1000, 1));

        assertThat(refusal.errno()).isEqualTo(Errno.ENOMEM);
        assertThat(refusal.getSuppressed()).isEmpty();
        assertThat(bench.verbs())
                .containsExactly("hold", "delete", "create", "delete", "create", "release");
        assertThat(listener.slots()).isEqualTo(before);
        assertThat(slotAt(1).npages()).isEqualTo(4);
    }

    @Test
    void idsOfDeletedSlotsAreTheLastToBeUsed() {
        MemoryRegion ram = ram("ram", HVA, 4);
        place(ram, 0, 0);
        topology.edit(edit -> edit.setReadonly(ram, true));
        assertThat(listener.slots()).extracting(UserMemoryRegion::slot).containsExactly(1);

        instead(new SlotPolicy(1, 100, true, true));
        topology.edit(edit -> edit.setReadonly(ram, false));
        assertThat(listener.slots()).extracting(UserMemoryRegion::slot).containsExactly(0x10000);
    }
}
