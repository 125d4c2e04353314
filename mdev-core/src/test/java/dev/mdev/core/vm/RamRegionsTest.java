package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.topology.FlatRange;
import dev.mdev.core.topology.MemoryRegion;
import dev.mdev.core.topology.Topology;

import org.junit.jupiter.api.Test;

import java.util.List;

class RamRegionsTest {
    private static final long GIB = 1L << 30;

    private static List<String> ramOf(long bytes) {
        Topology topology = new Topology();
        MemoryRegion system = MemoryRegion.wholeSpace(topology, "system");
        HvaRange host = new HvaRange(1L << 40, bytes);
        RamRegions ram = RamRegions.of(new MachineSpec("vm", bytes, 1), topology, host);
        topology.edit(edit -> ram.place(edit, system));
        return topology.attach("memory", system, _ -> {}).view().ranges().stream()
                .map(FlatRange::toString)
                .toList();
    }

    @Test
    void littleRamIsOneRange() {
        assertThat(ramOf(0x1000)).containsExactly("[0x0, 0xfff] ram+0x0");
        assertThat(ramOf(0xb0000)).containsExactly("[0x0, 0xaffff] ram+0x0");
        assertThat(ramOf(0xc0000)).containsExactly("[0x0, 0xbffff] ram+0x0");
        assertThat(ramOf(1 << 20)).containsExactly("[0x0, 0xfffff] ram+0x0");
        assertThat(ramOf(0xb000_0000L - 0x1000)).containsExactly("[0x0, 0xafffefff] ram+0x0");
    }

    @Test
    void muchRamLeavesRoomBelow4Gib() {
        assertThat(ramOf(0xb000_0000L))
                .containsExactly(
                        "[0x0, 0x7fffffff] ram+0x0", "[0x100000000, 0x12fffffff] ram+0x80000000");
        assertThat(ramOf(64 * GIB))
                .containsExactly(
                        "[0x0, 0x7fffffff] ram+0x0", "[0x100000000, 0x107fffffff] ram+0x80000000");
    }
}
