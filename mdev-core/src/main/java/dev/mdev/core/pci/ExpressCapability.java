package dev.mdev.core.pci;

/// The PCI Express capability, version 2, of an endpoint with one 2.5 GT/s lane and function-level
/// reset. There is no link: its registers look like those of a trained link, so that a guest finds
/// nothing to fix.
final class ExpressCapability extends PciCapability {
    static final int ID = 0x10;

    private static final int LENGTH = 60;
    private static final int FLAGS = 0x02;
    private static final int DEVICE_CAPABILITIES = 0x04;
    private static final int DEVICE_CONTROL = 0x08;
    private static final int DEVICE_STATUS = 0x0a;
    private static final int LINK_CAPABILITIES = 0x0c;
    private static final int LINK_CONTROL = 0x10;
    private static final int LINK_STATUS = 0x12;

    private static final int VERSION_2_ENDPOINT = 2;
    private static final int ROLE_BASED_ERRORS = 1 << 15;
    private static final int RESET_CAPABLE = 1 << 28;

    /// Error reporting enables, relaxed ordering, payload size, no-snoop, read request size.
    private static final int CONTROL_BITS = 0x78ff;

    private static final int INITIATE_RESET = 1 << 15;
    private static final int ERRORS_DETECTED = 0xf;
    private static final int DEFAULT_CONTROL = 0x2810;
    private static final int ONE_LANE_2_5_GT = 0x11;

    private boolean resetRequested;

    ExpressCapability() {
        super(ID, LENGTH);
    }

    @Override
    void define(ConfigRegisters registers, int at) {
        registers.set(at + FLAGS, 2, VERSION_2_ENDPOINT);
        registers.set(at + DEVICE_CAPABILITIES, 4, ROLE_BASED_ERRORS | RESET_CAPABLE);
        registers.set(at + DEVICE_CONTROL, 2, DEFAULT_CONTROL);
        registers.allowWrite(at + DEVICE_CONTROL, 2, CONTROL_BITS | INITIATE_RESET);
        registers.allowClear(at + DEVICE_STATUS, 2, ERRORS_DETECTED);
        registers.set(at + LINK_CAPABILITIES, 4, ONE_LANE_2_5_GT);
        registers.allowWrite(at + LINK_CONTROL, 2, 0x00c3);
        registers.set(at + LINK_STATUS, 2, ONE_LANE_2_5_GT);
    }

    @Override
    void written(ConfigRegisters registers) {
        long control = registers.read(offset() + DEVICE_CONTROL, 2);
        if ((control & INITIATE_RESET) != 0) {
            // Always reads as zero.
            registers.set(offset() + DEVICE_CONTROL, 2, control & ~INITIATE_RESET);
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
