package dev.mdev.core.topology;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.addr.HvaRange;

import org.junit.jupiter.api.Test;

import java.util.List;

class FlatViewTest {
    private final Topology topology = new Topology();
    private final MemoryRegion root = MemoryRegion.wholeSpace(topology, "root");
    private final TopologySpace space = topology.attach("memory", root, new Recorder());

    private MemoryRegion ram(String name, long npages) {
        return MemoryRegion.ram(topology, name, HvaRange.ofPages(0x7f00_0000_0000L, npages));
    }

    private MemoryRegion mmio(String name, long sizeBytes) {
        return MemoryRegion.mmio(topology, name, sizeBytes);
    }

    private void place(MemoryRegion region, long gpa, int priority) {
        topology.edit(edit -> edit.add(root, region, gpa, priority));
    }

    private List<String> view() {
        return space.view().ranges().stream().map(FlatRange::toString).toList();
    }

    @Test
    void higherPriorityIsSeenAndLowerFillsTheHoles() {
        place(ram("ram", 16), 0, 0);
        place(mmio("vga", 0x2000), 0x4000, 1);
        place(mmio("hidden", 0x1000), 0x8000, -1);

        assertThat(view())
                .containsExactly(
                        "[0x0, 0x3fff] ram+0x0",
                        "[0x4000, 0x5fff] vga+0x0",
                        "[0x6000, 0xffff] ram+0x6000");
    }

    @Test
    void ofEqualPrioritiesTheLastPlacedIsSeen() {
        MemoryRegion a = mmio("a", 0x2000);
        place(a, 0, 0);
        place(mmio("b", 0x2000), 0x1000, 0);
        assertThat(view()).containsExactly("[0x0, 0xfff] a+0x0", "[0x1000, 0x2fff] b+0x0");

        topology.edit(edit -> edit.setOffset(a, 0x1800));
        assertThat(view()).containsExactly("[0x1000, 0x17ff] b+0x0", "[0x1800, 0x37ff] a+0x0");
    }

    @Test
    void prioritiesCountAmongSiblingsOnly() {
        MemoryRegion container = MemoryRegion.container(topology, "container", 0x4000);
        MemoryRegion strong = mmio("strong", 0x1000);
        topology.edit(edit -> edit.add(container, strong, 0x1000, 100));
        place(container, 0, 0);
        place(ram("ram", 2), 0x1000, 1);

        assertThat(view()).containsExactly("[0x1000, 0x2fff] ram+0x0");
    }

    @Test
    void containersAreTransparentAndClipTheirContent() {
        MemoryRegion container = MemoryRegion.container(topology, "container", 0x3000);
        topology.edit(edit -> edit.add(container, mmio("device", 0x4000), 0x2000, 0));
        place(ram("ram", 8), 0, 0);
        place(container, 0x1000, 1);

        assertThat(view())
                .containsExactly(
                        "[0x0, 0x2fff] ram+0x0",
                        "[0x3000, 0x3fff] device+0x0",
                        "[0x4000, 0x7fff] ram+0x4000");
    }

    @Test
    void contentLiesBelowTheSubregionsOfARegion() {
        MemoryRegion ram = ram("ram", 4);
        topology.edit(edit -> edit.add(ram, mmio("doorbell", 0x800), 0x1000, -5));
        place(ram, 0x10000, 0);

        assertThat(view())
                .containsExactly(
                        "[0x10000, 0x10fff] ram+0x0",
                        "[0x11000, 0x117ff] doorbell+0x0",
                        "[0x11800, 0x13fff] ram+0x1800");
    }

    @Test
    void aliasTranslatesAndClips() {
        MemoryRegion ram = ram("ram", 4);
        place(MemoryRegion.alias("window", ram, 0x1000, 0x10_0000), 0x20000, 0);
        assertThat(view()).containsExactly("[0x20000, 0x22fff] ram+0x1000");

        place(MemoryRegion.alias("beyond", ram, 0x4000, 0x1000), 0x30000, 0);
        assertThat(view()).hasSize(1);
    }

    @Test
    void aliasOfAnAliasOfAPlacedRegionIsSeenTwice() {
        MemoryRegion ram = ram("ram", 8);
        MemoryRegion inner = MemoryRegion.alias("inner", ram, 0x2000, 0x4000);
        place(ram, 0, 0);
        place(MemoryRegion.alias("outer", inner, 0x1000, 0x2000), 0x10000, 0);

        assertThat(view())
                .containsExactly("[0x0, 0x7fff] ram+0x0", "[0x10000, 0x11fff] ram+0x3000");
    }

    @Test
    void neighbouringAliasesOfOneRegionMerge() {
        MemoryRegion ram = ram("ram", 8);
        place(MemoryRegion.alias("low", ram, 0, 0x3000), 0, 0);
        place(MemoryRegion.alias("high", ram, 0x3000, 0x5000), 0x3000, 0);
        assertThat(view()).containsExactly("[0x0, 0x7fff] ram+0x0");

        place(MemoryRegion.alias("again", ram, 0, 0x1000), 0x8000, 0);
        assertThat(view()).containsExactly("[0x0, 0x7fff] ram+0x0", "[0x8000, 0x8fff] ram+0x0");
    }

    @Test
    void readonlyIsInheritedFromAnAliasAndKeepsRangesApart() {
        MemoryRegion ram = ram("ram", 8);
        MemoryRegion bios = MemoryRegion.alias("bios", ram, 0x2000, 0x1000);
        place(ram, 0, 0);
        place(bios, 0x2000, 1);
        assertThat(view()).containsExactly("[0x0, 0x7fff] ram+0x0");

        topology.edit(edit -> edit.setReadonly(bios, true));
        assertThat(view())
                .containsExactly(
                        "[0x0, 0x1fff] ram+0x0",
                        "[0x2000, 0x2fff] ram+0x2000 ro",
                        "[0x3000, 0x7fff] ram+0x3000");
    }

    @Test
    void disabledRegionsVanishAlsoThroughAliases() {
        MemoryRegion ram = ram("ram", 2);
        place(ram, 0, 0);
        place(MemoryRegion.alias("alias", ram), 0x8000, 0);
        topology.edit(edit -> edit.setEnabled(ram, false));
        assertThat(view()).isEmpty();
    }

    @Test
    void romDeviceHasTwoModes() {
        MemoryRegion flash =
                MemoryRegion.romDevice(topology, "flash", HvaRange.ofPages(0x10000, 1));
        place(flash, 0, 0);
        FlatRange rom = space.view().ranges().getFirst();
        assertThat(rom.readableHva()).hasValue(0x10000);
        assertThat(rom.isWritable()).isFalse();

        topology.edit(edit -> edit.setRomMode(flash, false));
        assertThat(space.view().ranges().getFirst().readableHva()).isEmpty();
    }

    @Test
    void theLastByteOf64BitsIsAnAddress() {
        place(MemoryRegion.mmio(topology, "all", -1L), 0, 0);
        place(mmio("top", 0x1000), 0xffff_ffff_ffff_f000L, 1);
        place(mmio("over", 0x2000), 0xffff_ffff_ffff_e800L, 0);

        assertThat(view())
                .containsExactly(
                        "[0x0, 0xffffffffffffe7ff] all+0x0",
                        "[0xffffffffffffe800, 0xffffffffffffefff] over+0x0",
                        "[0xfffffffffffff000, 0xffffffffffffffff] top+0x0");
        assertThat(space.view().find(-1L).orElseThrow().region().name()).isEqualTo("top");
        assertThat(space.view().find(0x8000_0000_0000_0000L).orElseThrow().region().name())
                .isEqualTo("all");
    }

    @Test
    void whatLiesInARomIsReadOnly() {
        MemoryRegion rom = MemoryRegion.rom(topology, "rom", HvaRange.ofPages(0x10_0000, 4));
        topology.edit(edit -> edit.add(rom, ram("inside", 1), 0x1000, 0));
        place(rom, 0, 0);

        assertThat(view())
                .containsExactly(
                        "[0x0, 0xfff] rom+0x0 ro",
                        "[0x1000, 0x1fff] inside+0x0 ro",
                        "[0x2000, 0x3fff] rom+0x2000 ro");
        assertThat(space.view().ranges()).noneMatch(FlatRange::isWritable);
    }

    @Test
    void aRootThatIsInAContainerTooAppearsAtItsOffsetThere() {
        MemoryRegion bus = MemoryRegion.container(topology, "bus", 0x10_0000);
        topology.edit(edit -> {
            edit.add(bus, mmio("device", 0x1000), 0x2000, 0);
            edit.add(root, bus, 0xe000_0000L, 0);
        });
        TopologySpace other = topology.attach("bus", bus, new Recorder());

        assertThat(other.view()).isEqualTo(space.view());
        assertThat(other.view().ranges().getFirst().firstGpa()).isEqualTo(0xe000_2000L);
        topology.edit(edit -> edit.setOffset(bus, -0x2800L));
        assertThat(other.view().toString())
                .as("cut at the end of 64 bits")
                .isEqualTo("[[0xfffffffffffff800, 0xffffffffffffffff] device+0x0]");
    }

    @Test
    void regionsHave0To2To64Bytes() {
        place(mmio("nothing", 0), 0x1000, 5);
        place(MemoryRegion.alias("none", ram("ram", 1), 0, 0), 0x1000, 5);
        place(MemoryRegion.alias("of nothing", mmio("empty", 0), 0, 0x1000), 0x1000, 5);
        assertThat(view()).isEmpty();

        MemoryRegion all = MemoryRegion.mmio(topology, "all", RegionSize.WHOLE_SPACE);
        place(MemoryRegion.alias("shifted", all, 0x10, RegionSize.WHOLE_SPACE), 0, 0);
        assertThat(view()).containsExactly("[0x0, 0xffffffffffffffef] all+0x10");
        place(all, 0, -1);
        assertThat(view())
                .containsExactly(
                        "[0x0, 0xffffffffffffffef] all+0x10",
                        "[0xfffffffffffffff0, 0xffffffffffffffff] all+0xfffffffffffffff0");
    }

    @Test
    void partsThatAreKeptApartDoNotBecomeOne() {
        MemoryRegion ram = ram("ram", 8);
        MemoryRegion low = MemoryRegion.alias("low", ram, 0, 0x3000);
        place(low, 0, 0);
        place(MemoryRegion.alias("high", ram, 0x3000, 0x5000), 0x3000, 0);
        assertThat(view()).containsExactly("[0x0, 0x7fff] ram+0x0");

        topology.edit(edit -> edit.setMergeable(low, false));

        assertThat(view())
                .containsExactly("[0x0, 0x2fff] ram+0x0 apart", "[0x3000, 0x7fff] ram+0x3000");
    }

    @Test
    void nothingIsFoundInAHole() {
        place(ram("ram", 1), 0x2000, 0);
        assertThat(space.view().find(0x1fff)).isEmpty();
        assertThat(space.view().find(0x2000)).isPresent();
        assertThat(space.view().find(0x3000)).isEmpty();
    }
}
