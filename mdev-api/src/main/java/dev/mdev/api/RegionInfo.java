package dev.mdev.api;

import dev.mdev.api.page.Page;

import java.util.List;

/// One region of a device, numbered as VFIO numbers the regions of a PCI function: BARs 0 to 5,
/// expansion ROM 6, configuration space 7, VGA 8, device-specific from 9.
///
/// A guest sees BARs and the ROM. The ROM is a power of two from 2 KiB to 16 MiB, trapped, and
/// read-only. The host serves configuration space: a driver does not list it.
///
/// @param index the region's number, at least 0
/// @param name for people, such as `vram`
/// @param sizeBytes its size; a power of two for a BAR
/// @param areas the parts that guests reach by mappings: page-aligned, ascending, disjoint;
///   everything outside the areas is trapped
/// @param bar its presentation, if it is one of the BARs 0 to 5
public record RegionInfo(
        int index, String name, long sizeBytes, List<RegionArea> areas, BarInfo bar) {
    /// The highest index of a BAR.
    public static final int LAST_BAR = 5;

    /// The expansion ROM.
    public static final int ROM = 6;

    /// PCI configuration space.
    public static final int CONFIG = 7;

    /// Legacy VGA ranges.
    public static final int VGA = 8;

    public RegionInfo {
        areas = List.copyOf(areas);
        if (index < 0 || sizeBytes < 1) {
            throw new IllegalArgumentException(
                    "region=%d sizeBytes=%d".formatted(index, sizeBytes));
        }
        if (index <= LAST_BAR && Long.bitCount(sizeBytes) != 1) {
            throw new IllegalArgumentException(
                    "size of a BAR is not a power of two: region=%d sizeBytes=%d"
                            .formatted(index, sizeBytes));
        }
        long end = 0;
        for (RegionArea area : areas) {
            if (area.offsetBytes() < end || area.endBytes() > sizeBytes) {
                throw new IllegalArgumentException(
                        "areas overlap, or leave the region: region=%d %s".formatted(index, area));
            }
            end = area.endBytes();
        }
    }

    /// A region that, if it is a BAR, is memory if any part of it is mapped, and registers
    /// otherwise.
    public RegionInfo(int index, String name, long sizeBytes, List<RegionArea> areas) {
        this(
                index,
                name,
                sizeBytes,
                areas,
                areas.stream().allMatch(area -> area.kind() == RegionArea.Kind.TRAPPED)
                        ? BarInfo.REGISTERS
                        : BarInfo.MEMORY);
    }

    /// A region whose whole extent is of one kind.
    public static RegionInfo of(int index, String name, long sizeBytes, RegionArea.Kind kind) {
        return new RegionInfo(
                index,
                name,
                sizeBytes,
                kind == RegionArea.Kind.TRAPPED
                        ? List.of()
                        : List.of(new RegionArea(0, sizeBytes, kind)));
    }

    /// A region that is lazy as a whole, and where the host may ask for more than the accessed
    /// page.
    ///
    /// @param aheadPages the maximum number of pages per request; 0 for a window of the whole
    ///   region
    public static RegionInfo lazy(int index, String name, long sizeBytes, int aheadPages) {
        RegionArea all = new RegionArea(0, sizeBytes, RegionArea.Kind.LAZY, aheadPages);
        return new RegionInfo(index, name, sizeBytes, List.of(all));
    }

    /// The same region with another kind of BAR.
    public RegionInfo withBar(BarInfo other) {
        return new RegionInfo(index, name, sizeBytes, areas, other);
    }

    /// Whether this is one of the BARs 0 to 5.
    public boolean isBar() {
        return index <= LAST_BAR;
    }

    /// Pages that the region touches.
    public long npages() {
        return Page.countFor(sizeBytes);
    }
}
