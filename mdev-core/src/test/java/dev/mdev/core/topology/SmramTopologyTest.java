package dev.mdev.core.topology;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.memslot.Memslot;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

import java.util.Objects;

/// The two address spaces that QEMU's PC machines show to KVM. The second one, for system
/// management mode (SMM), is a container of an alias of all system memory at priority 0, and the
/// SMRAM region at priority 10.
class SmramTopologyTest {
    private static final long VGA_GPA = 0xa0000;
    private static final long VGA_GFN = 0xa0;
    private static final long VGA_BYTES = 0x20000;
    private static final long RAM_PAGES = 0x8000;
    private static final long TSEG_GPA = 0x780_0000;
    private static final long TSEG_GFN = 0x7800;
    private static final long TSEG_BYTES = 0x80_0000;
    private static final HvaRange HOST = HvaRange.ofPages(0x7f00_0000_0000L, RAM_PAGES);

    private final Topology topology = new Topology();
    private final SlotBench bench = new SlotBench();

    private final MemoryRegion system = MemoryRegion.wholeSpace(topology, "system");
    private final MemoryRegion ram = MemoryRegion.ram(topology, "pc.ram", HOST);
    private final MemoryRegion vga = MemoryRegion.mmio(topology, "vga-lowmem", VGA_BYTES);
    private final MemoryRegion tsegBlackhole =
            MemoryRegion.mmio(topology, "tseg-blackhole", TSEG_BYTES);

    private final MemoryRegion smram = MemoryRegion.wholeSpace(topology, "smram");
    private final MemoryRegion smramLow = MemoryRegion.alias("smram-low", ram, VGA_GPA, VGA_BYTES);
    private final MemoryRegion smramTseg =
            MemoryRegion.alias("smram-tseg", ram, TSEG_GPA, TSEG_BYTES);

    private final MemoryRegion smmRoot = MemoryRegion.wholeSpace(topology, "mem-container-smram");
    private final MemoryRegion smmSystem = MemoryRegion.alias("mem-smram", system);

    SmramTopologyTest() {
        topology.edit(edit -> {
            edit.add(system, ram, 0, 0);
            edit.add(system, vga, VGA_GPA, 1);
            edit.add(system, tsegBlackhole, TSEG_GPA, 1);
            edit.setEnabled(tsegBlackhole, false);
            edit.add(smram, smramLow, VGA_GPA, 0);
            edit.setEnabled(smramLow, false);
            edit.add(smram, smramTseg, TSEG_GPA, 0);
            edit.setEnabled(smramTseg, false);
            edit.add(smmRoot, smmSystem, 0, 0);
            edit.add(smmRoot, smram, 0, 10);
        });
        SlotPolicy policy = SlotPolicy.linux();
        topology.attach("memory", system, new MemslotListener(0, policy, bench, bench));
        topology.attach("KVM-SMRAM", smmRoot, new MemslotListener(1, policy, bench, bench));
    }

    private @Nullable Memslot find(boolean inSmm, long gfn) {
        int asId = bench.slots.config().asIdOfVcpu(inSmm);
        return bench.slots.active(asId).find(gfn);
    }

    private long hvaOf(boolean inSmm, long gfn) {
        return Objects.requireNonNull(find(inSmm, gfn)).hvaOf(gfn);
    }

    @Test
    void ordinaryMemoryIsTheSameInBoth() {
        for (long gfn : new long[] {0, VGA_GFN - 1, 0xc0, RAM_PAGES - 1}) {
            assertThat(hvaOf(true, gfn)).isEqualTo(hvaOf(false, gfn));
        }
        assertThat(find(true, RAM_PAGES)).isNull();
    }

    @Test
    void closedSmramShowsTheDisplayInBoth() {
        assertThat(find(false, VGA_GFN)).isNull();
        assertThat(find(true, VGA_GFN)).isNull();
    }

    @Test
    void enabledSmramIsMemoryBehindTheDisplayInSmmOnly() {
        topology.edit(edit -> edit.setEnabled(smramLow, true));
        assertThat(find(false, VGA_GFN)).isNull();
        assertThat(hvaOf(true, VGA_GFN)).isEqualTo(HOST.startHva() + VGA_GPA);
        // Memory above, within and below the window is one run of host memory: one slot.
        assertThat(bench.slots.active(1).size()).isEqualTo(1);
        assertThat(bench.slots.active(0).size()).isEqualTo(2);

        topology.edit(edit -> edit.setEnabled(smramLow, false));
        assertThat(find(true, VGA_GFN)).isNull();
    }

    @Test
    void openSmramIsSeenOutsideSmmAsWell() {
        // SMRAM.D_OPEN: the display's window is hidden in system memory.
        topology.edit(edit -> edit.setEnabled(vga, false));
        assertThat(hvaOf(false, VGA_GFN)).isEqualTo(HOST.startHva() + VGA_GPA);
    }

    @Test
    void tsegIsHiddenOutsideSmm() {
        topology.edit(edit -> {
            edit.setEnabled(tsegBlackhole, true);
            edit.setEnabled(smramTseg, true);
        });
        assertThat(find(false, TSEG_GFN)).isNull();
        assertThat(find(false, TSEG_GFN - 1)).isNotNull();
        assertThat(hvaOf(true, TSEG_GFN)).isEqualTo(HOST.startHva() + TSEG_GPA);
    }
}
