package dev.mdev.core.pci;

import dev.mdev.api.RegionInfo;
import dev.mdev.api.layout.BarLayout;

import org.jspecify.annotations.Nullable;

/// A base address register, or the pair of them for a 64-bit BAR.
///
/// @param region the region's index: 0 to 5, or [RegionInfo#ROM]
/// @param sizeBytes a power of two
/// @param wide whether it has 64 bits
/// @param prefetchable whether reads have no side effects
public record BarRegister(int region, long sizeBytes, boolean wide, boolean prefetchable) {
    private static final int FIRST_BAR = 0x10;
    private static final int ROM = 0x30;
    private static final int ROM_ENABLE = 1;
    private static final int TYPE_64 = 4;
    private static final int PREFETCHABLE = 8;

    static BarRegister of(BarLayout.Bar bar) {
        return new BarRegister(bar.region(), bar.sizeBytes(), bar.wide(), bar.prefetchable());
    }

    boolean isRom() {
        return region == RegionInfo.ROM;
    }

    /// Where it is in configuration space, in bytes.
    public int offset() {
        return isRom() ? ROM : FIRST_BAR + region * Integer.BYTES;
    }

    public int widthBytes() {
        return wide ? Long.BYTES : Integer.BYTES;
    }

    void define(ConfigRegisters registers) {
        int type = (wide ? TYPE_64 : 0) | (prefetchable ? PREFETCHABLE : 0);
        registers.set(offset(), widthBytes(), isRom() ? 0 : type);
        registers.allowWrite(offset(), widthBytes(), -sizeBytes | (isRom() ? ROM_ENABLE : 0));
    }

    /// The place of the region according to the register, or null for no place.
    ///
    /// Like QEMU's `pci_bar_address`, this takes some values for no address: 0, an address that
    /// wraps, and the top of the 32-bit space, where a register points while a guest finds out its
    /// size.
    ///
    /// @param gpaLimit one more than the highest guest-physical address
    @Nullable BarWindow window(ConfigRegisters registers, long gpaLimit) {
        long value = registers.read(offset(), widthBytes());
        if (isRom() && (value & ROM_ENABLE) == 0) {
            return null;
        }
        long gpa = value & -sizeBytes;
        long last = gpa + sizeBytes - 1;
        boolean decodes =
                gpa > 0
                        && last > gpa
                        && last < gpaLimit
                        && (wide || last < Integer.toUnsignedLong(-1));
        return decodes ? new BarWindow(region, gpa, sizeBytes) : null;
    }
}
