package dev.mdev.core.vm;

import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.pci.BarWindow;
import dev.mdev.core.topology.MemoryRegion;
import dev.mdev.core.topology.Topology;
import dev.mdev.core.topology.TopologyEdit;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The RAM of a machine in its tree of memory: one region, shown by aliases.
///
/// The part behind legacy VGA memory is an alias of its own, because it may have to keep a slot of
/// its own; as long as it need not, one slot shows all RAM below 4 GiB.
///
/// In a machine with system management mode, the part behind legacy VGA memory is SMRAM and not
/// shown here; the host bridge turns the parts from 0xc0000 to 1 MiB on and off, and TSEG has a
/// hole above it. These parts keep slots of their own, so that their changes leave other RAM alone.
///
/// @param ram all RAM
/// @param parts its aliases, by address
/// @param behindVga the part behind legacy VGA memory, if it is shown; null if RAM ends below its
///   end
/// @param segments the parts that the host bridge turns on and off, ascending
record RamRegions(
        MemoryRegion ram,
        Map<Long, MemoryRegion> parts,
        @Nullable MemoryRegion behindVga,
        List<MemoryRegion> segments) {
    private static final long ABOVE_VGA_GPA = BarWindow.VGA_MEMORY_GPA + BarWindow.VGA_MEMORY_BYTES;
    private static final long SEGMENT_BYTES = 16L << 10;
    private static final long LAST_SEGMENT_GPA = 0xf_0000;
    private static final long LOW_END_GPA = 1L << 20;

    static RamRegions of(MachineSpec spec, Topology topology, HvaRange host) {
        MemoryRegion ram = MemoryRegion.ram(topology, "ram", host);
        Map<Long, MemoryRegion> parts = new LinkedHashMap<>();
        List<MemoryRegion> segments = new ArrayList<>();
        MemoryRegion behindVga = null;
        if (spec.smm() != SmmDesign.NONE) {
            addParts(spec, ram, parts, segments);
        } else {
            behindVga = addFewParts(spec, ram, parts);
        }
        parts.put(
                MachineSpec.HIGH_RAM_GPA,
                MemoryRegion.alias("ram-above-4g", ram, spec.lowRamBytes(), spec.highRamBytes()));
        return new RamRegions(ram, parts, behindVga, List.copyOf(segments));
    }

    private static @Nullable MemoryRegion addFewParts(
            MachineSpec spec, MemoryRegion ram, Map<Long, MemoryRegion> parts) {
        long low = spec.lowRamBytes();
        if (low < ABOVE_VGA_GPA) {
            put(parts, "ram-below-4g", ram, 0, low);
            return null;
        }
        put(parts, "ram-640k", ram, 0, BarWindow.VGA_MEMORY_GPA);
        MemoryRegion behindVga =
                put(parts, "ram-behind-vga", ram, BarWindow.VGA_MEMORY_GPA, ABOVE_VGA_GPA);
        put(parts, "ram-below-4g", ram, ABOVE_VGA_GPA, low);
        return behindVga;
    }

    private static void addParts(
            MachineSpec spec,
            MemoryRegion ram,
            Map<Long, MemoryRegion> parts,
            List<MemoryRegion> segments) {
        put(parts, "ram-640k", ram, 0, BarWindow.VGA_MEMORY_GPA);
        for (long gpa = ABOVE_VGA_GPA; gpa < LAST_SEGMENT_GPA; gpa += SEGMENT_BYTES) {
            segments.add(put(parts, "ram-0x%x".formatted(gpa), ram, gpa, gpa + SEGMENT_BYTES));
        }
        segments.add(put(parts, "ram-0xf0000", ram, LAST_SEGMENT_GPA, LOW_END_GPA));
        long tseg = SmramRegions.tsegGpa(spec);
        put(parts, "ram-below-4g", ram, LOW_END_GPA, tseg);
        put(parts, "ram-behind-tseg", ram, tseg, spec.lowRamBytes());
    }

    private static MemoryRegion put(
            Map<Long, MemoryRegion> parts, String name, MemoryRegion ram, long gpa, long endGpa) {
        MemoryRegion part = MemoryRegion.alias(name, ram, gpa, endGpa - gpa);
        parts.put(gpa, part);
        return part;
    }

    void place(TopologyEdit edit, MemoryRegion system) {
        parts.forEach((gpa, part) -> edit.add(system, part, gpa, 0));
        segments.forEach(segment -> edit.setMergeable(segment, false));
    }

    /// Shows what the host bridge says. As in QEMU, a segment whose loads go to the bus and whose
    /// stores go to RAM is not RAM at all.
    void set(TopologyEdit edit, HostBridge.Registers registers) {
        for (int i = 0; i < segments.size(); i++) {
            int reaches = registers.segment(i);
            edit.setEnabled(segments.get(i), (reaches & HostBridge.READS_RAM) != 0);
            edit.setReadonly(segments.get(i), (reaches & HostBridge.WRITES_RAM) == 0);
        }
    }
}
