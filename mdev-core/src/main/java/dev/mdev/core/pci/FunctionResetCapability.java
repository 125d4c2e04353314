package dev.mdev.core.pci;

/// The advanced features capability (PCI ECN "Advanced Capabilities for Conventional PCI"), which
/// gives a conventional function a function-level reset.
final class FunctionResetCapability extends PciCapability {
    static final int ID = 0x13;

    private static final int LENGTH = 6;
    private static final int CAPABILITIES = 3;
    private static final int CONTROL = 4;

    private static final int TRANSACTIONS_PENDING_BIT_IS_THERE = 1;
    private static final int RESET_CAPABLE = 2;
    private static final int INITIATE_RESET = 1;

    private boolean resetRequested;

    FunctionResetCapability() {
        super(ID, LENGTH);
    }

    @Override
    void define(ConfigRegisters registers, int at) {
        registers.set(at + 2, 1, LENGTH);
        registers.set(at + CAPABILITIES, 1, TRANSACTIONS_PENDING_BIT_IS_THERE | RESET_CAPABLE);
        registers.allowWrite(at + CONTROL, 1, INITIATE_RESET);
    }

    @Override
    void written(ConfigRegisters registers) {
        if (registers.read(offset() + CONTROL, 1) != 0) {
            // Always reads as zero.
            registers.set(offset() + CONTROL, 1, 0);
            resetRequested = true;
        }
    }

    @Override
    boolean takeResetRequest() {
        boolean requested = resetRequested;
        resetRequested = false;
        return requested;
    }
}
