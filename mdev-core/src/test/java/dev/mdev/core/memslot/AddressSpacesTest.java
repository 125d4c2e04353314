package dev.mdev.core.memslot;

import static dev.mdev.core.memslot.SlotRequests.ram;
import static dev.mdev.core.memslot.SlotRequests.region;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

class AddressSpacesTest {
    private final AddressSpaces spaces = new AddressSpaces(SlotConfig.x86());

    @Test
    void createdSlotIsFoundByGfnIdAndHva() {
        spaces.setUserMemoryRegion(ram(3, 0x100, 16));

        Memslot slot = Objects.requireNonNull(spaces.find(0x10f));
        assertThat(slot.id()).isEqualTo(3);
        assertThat(slot.hvaOf(0x10f)).isEqualTo(slot.hva() + 0xf000);
        assertThat(slot.gfnOf(slot.hva() + 0xf123)).isEqualTo(0x10f);
        assertThat(spaces.find(0x110)).isNull();
        assertThat(spaces.find(0xff)).isNull();
        assertThat(spaces.slotOf(3)).isSameAs(slot);
        List<Memslot> byHva = new ArrayList<>();
        spaces.forEachIn(new HvaRange(slot.hva() + 0xf000, 0x1000), byHva::add);
        assertThat(byHva).containsExactly(slot);
        List<Memslot> byGfn = new ArrayList<>();
        spaces.active(0).forEachIn(new GfnRange(0, 0x101), byGfn::add);
        assertThat(byGfn).containsExactly(slot);
    }

    @Test
    void addressSpacesDoNotSeeEachOther() {
        spaces.setUserMemoryRegion(ram(0, 0, 16));
        spaces.setUserMemoryRegion(region(1 << 16, 0, 8, 1));

        VcpuMemslots vcpu = new VcpuMemslots(spaces, 0);
        assertThat(vcpu.find(8)).isSameAs(spaces.slotOf(0));
        vcpu.setInSmm(true);
        assertThat(vcpu.find(8)).isSameAs(spaces.slotOf(1 << 16));
        assertThat(vcpu.find(9)).isNull();
        assertThat(spaces.find(9)).isNotNull();
    }

    @Test
    void moveGoesThroughInvalidAndTellsListenersInOrder() {
        spaces.setUserMemoryRegion(region(1, SlotFlags.LOG_DIRTY_PAGES, 0x10, 4));
        DirtyBitmap bitmap =
                Objects.requireNonNull(Objects.requireNonNull(spaces.slotOf(1)).bitmap());
        List<String> heard = new ArrayList<>();
        spaces.addListener(
                new SlotListener() {
                    @Override
                    public void prepare(SlotChange change) {
                        heard.add("prepare " + change.kind() + invalidity());
                    }

                    @Override
                    public void flush(Memslot invalid) {
                        heard.add("flush " + invalid.isInvalid() + invalidity());
                    }

                    @Override
                    public void commit(SlotChange change) {
                        heard.add("commit " + change.kind() + invalidity());
                    }

                    private String invalidity() {
                        Memslot slot = spaces.slotOf(1);
                        return slot == null ? " gone" : slot.isInvalid() ? " invalid" : " valid";
                    }
                });

        spaces.setUserMemoryRegion(region(1, SlotFlags.LOG_DIRTY_PAGES, 0x12, 4));

        assertThat(heard)
                .containsExactly("flush true invalid", "prepare MOVE invalid", "commit MOVE valid");
        assertThat(Objects.requireNonNull(spaces.slotOf(1)).bitmap()).isSameAs(bitmap);
        assertThat(spaces.active(0).generation()).isEqualTo(2 + 4);
        assertThat(spaces.active(1).generation()).isEqualTo(1);
    }
}
