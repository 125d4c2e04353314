package dev.mdev.core.vm;

import dev.mdev.api.RegionInfo;
import dev.mdev.core.pci.BarWindow;
import dev.mdev.core.topology.MemoryRegion;
import dev.mdev.core.topology.RegionOwner;
import dev.mdev.core.topology.TopologyEdit;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/// A device's regions in the tree of a machine's memory: for each BAR, and for the ROM, a region
/// whose accesses the device answers, with the mapped areas as memory in it.
///
/// Changed under the lock of [MemoryLayout].
final class DeviceRegions {
    /// Above the RAM that a bus shows through, as in QEMU (`pci_update_mappings`).
    private static final int PRIORITY = 1;

    /// By region index.
    private final Map<Integer, MemoryRegion> regions = new TreeMap<>();

    /// What is placed: the region, or, of the region of VGA, its memory.
    private final Map<Integer, MemoryRegion> windows = new TreeMap<>();

    private final List<MemoryRegion> areas = new ArrayList<>();
    private final RegionOwner owner;

    /// Where its windows are in the tree, by region index.
    private Map<Integer, Long> placed = Map.of();

    /// @param ports gets what answers accesses to the regions
    DeviceRegions(
            RegionOwner owner, AttachedDevice device, Map<MemoryRegion, GuestSpace.Port> ports) {
        this.owner = owner;
        for (RegionInfo info : device.function().regions()) {
            if (info.index() > RegionInfo.ROM && info.index() != RegionInfo.VGA) {
                continue;
            }
            String name = device.address() + " region " + info.index();
            MemoryRegion region = MemoryRegion.mmio(owner, name, info.sizeBytes());
            MmioBus.Target target = device.target(info.index());
            ports.put(region, new GuestSpace.Port(target, 0));
            regions.put(info.index(), region);
            windows.put(info.index(), info.index() == RegionInfo.VGA ? vgaMemory(region) : region);
        }
    }

    private static MemoryRegion vgaMemory(MemoryRegion region) {
        return MemoryRegion.alias(
                region + " memory", region, BarWindow.VGA_MEMORY_GPA, BarWindow.VGA_MEMORY_BYTES);
    }

    /// Puts the mapped areas into their regions. Each keeps a slot of its own: so a BAR that moves
    /// leaves its neighbours' slots alone.
    void addAreas(
            TopologyEdit edit, AttachedDevice device, Map<MemoryRegion, GuestSpace.Port> ports) {
        for (MappedArea mapped : device.areas()) {
            MemoryRegion region = Objects.requireNonNull(regions.get(mapped.region()));
            MemoryRegion area =
                    MemoryRegion.ram(
                            owner,
                            "%s+0x%x".formatted(region, mapped.area().offsetBytes()),
                            mapped.vma().range());
            ports.put(
                    area,
                    new GuestSpace.Port(
                            device.target(mapped.region()), mapped.area().offsetBytes()));
            edit.setMergeable(area, false);
            edit.add(region, area, mapped.area().offsetBytes(), 0);
            areas.add(area);
        }
    }

    /// Forgets what answers accesses to the regions, when none of them is in the tree any more.
    void close(Map<MemoryRegion, GuestSpace.Port> ports) {
        regions.values().forEach(ports::remove);
        areas.forEach(ports::remove);
    }

    /// Whether the device has legacy VGA memory.
    boolean hasVga() {
        return regions.containsKey(RegionInfo.VGA);
    }

    /// Whether the device has mapped areas.
    boolean hasAreas() {
        return !areas.isEmpty();
    }

    /// Shows the mapped areas as memory; otherwise every access to them traps.
    void setMapped(TopologyEdit edit, boolean mapped) {
        areas.forEach(area -> edit.setEnabled(area, mapped));
    }

    /// Places, moves and removes regions. A window in its old place keeps its order; a window that
    /// appears or moves comes last, and so lies above the others.
    ///
    /// @param bus the container of BARs, below all RAM
    /// @param aboveRam the container of legacy VGA memory, which hides RAM
    void place(
            TopologyEdit edit, MemoryRegion bus, MemoryRegion aboveRam, List<BarWindow> decoded) {
        Map<Integer, Long> wanted = placesOf(decoded);
        for (Integer index : placed.keySet()) {
            if (!wanted.containsKey(index)) {
                edit.remove(window(index));
            }
        }
        wanted.forEach((index, gpa) -> {
            if (placed.containsKey(index)) {
                edit.setOffset(window(index), gpa);
            } else {
                edit.add(index == RegionInfo.VGA ? aboveRam : bus, window(index), gpa, PRIORITY);
            }
        });
    }

    private MemoryRegion window(int index) {
        return Objects.requireNonNull(windows.get(index));
    }

    /// Records that [#place] is in force.
    void setPlaced(List<BarWindow> decoded) {
        placed = placesOf(decoded);
    }

    /// Whether a region is in the tree now.
    boolean isPlaced(int region) {
        return placed.containsKey(region);
    }

    private static Map<Integer, Long> placesOf(List<BarWindow> decoded) {
        Map<Integer, Long> places = new TreeMap<>();
        decoded.forEach(window -> places.put(window.region(), window.gpa()));
        return places;
    }
}
