package dev.mdev.core.pci;

import dev.mdev.api.MsixPlacement;

/// The MSI-X capability: gives the place of the [MsixTable], and turns it on.
final class MsixCapability extends PciCapability {
    static final int ID = 0x11;

    private static final int CONTROL = 2;
    private static final int TABLE = 4;
    private static final int PBA = 8;
    private static final int LENGTH = 12;

    private static final int FUNCTION_MASK = 1 << 14;
    private static final int ENABLE = 1 << 15;

    private final int vectors;
    private final MsixPlacement placement;
    private boolean enabled;
    private boolean functionMasked;

    MsixCapability(int vectors, MsixPlacement placement) {
        super(ID, LENGTH);
        this.vectors = vectors;
        this.placement = placement;
    }

    boolean isEnabled() {
        return enabled;
    }

    boolean isFunctionMasked() {
        return functionMasked;
    }

    @Override
    void define(ConfigRegisters registers, int at) {
        registers.set(at + CONTROL, 2, vectors - 1);
        registers.allowWrite(at + CONTROL, 2, FUNCTION_MASK | ENABLE);
        registers.set(at + TABLE, 4, placement.tableOffsetBytes() | placement.bar());
        registers.set(at + PBA, 4, placement.pbaOffsetBytes() | placement.bar());
    }

    @Override
    void written(ConfigRegisters registers) {
        int control = (int) registers.read(offset() + CONTROL, 2);
        enabled = (control & ENABLE) != 0;
        functionMasked = (control & FUNCTION_MASK) != 0;
    }

    @Override
    void reset() {
        enabled = false;
        functionMasked = false;
    }
}
