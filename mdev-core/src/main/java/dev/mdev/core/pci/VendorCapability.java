package dev.mdev.core.pci;

import java.util.List;

/// A vendor-specific capability: read-only bytes that the driver chose.
final class VendorCapability extends PciCapability {
    static final int ID = 0x09;

    private static final int DATA = 3;

    private final List<Integer> data;

    VendorCapability(List<Integer> data) {
        super(ID, DATA + data.size());
        this.data = data;
    }

    @Override
    void define(ConfigRegisters registers, int at) {
        registers.set(at + 2, 1, lengthBytes());
        for (int i = 0; i < data.size(); i++) {
            registers.set(at + DATA + i, 1, data.get(i));
        }
    }
}
