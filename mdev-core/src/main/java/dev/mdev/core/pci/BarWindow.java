package dev.mdev.core.pci;

import dev.mdev.api.RegionInfo;

/// The addresses at which a function decodes accesses to one of its regions, according to its
/// configuration space.
///
/// @param region the region's index: a BAR, the ROM, or [RegionInfo#VGA]
/// @param gpa guest-physical address of its first byte, a multiple of the size
/// @param sizeBytes a power of two
public record BarWindow(int region, long gpa, long sizeBytes) {
    /// Where legacy VGA memory is, on the bus and in its region.
    public static final long VGA_MEMORY_GPA = 0xa0000;

    /// Its size.
    public static final long VGA_MEMORY_BYTES = 0x20000;

    /// The address of the first byte after the window.
    public long endGpa() {
        return gpa + sizeBytes;
    }

    @Override
    public String toString() {
        return "region %d at [0x%x, 0x%x)".formatted(region, gpa, endGpa());
    }
}
