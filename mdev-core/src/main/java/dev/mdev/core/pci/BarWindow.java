package dev.mdev.core.pci;

/// The addresses at which a function decodes accesses to one of its regions, according to its
/// configuration space.
///
/// @param region the region's index: a BAR or the ROM
/// @param gpa guest-physical address of its first byte, a multiple of the size
/// @param sizeBytes a power of two
public record BarWindow(int region, long gpa, long sizeBytes) {
    /// The address of the first byte after the window.
    public long endGpa() {
        return gpa + sizeBytes;
    }

    @Override
    public String toString() {
        return "region %d at [0x%x, 0x%x)".formatted(region, gpa, endGpa());
    }
}
