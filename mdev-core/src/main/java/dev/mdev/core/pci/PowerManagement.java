package dev.mdev.core.pci;

/// The power management capability (PCI Bus Power Management Interface Specification 1.2): D0 and
/// D3hot. The way back from D3hot resets the function; the capability announces this with a clear
/// `No_Soft_Reset`.
final class PowerManagement extends PciCapability {
    static final int ID = 0x01;

    private static final int CONTROL_STATUS = 4;
    private static final int STATE_MASK = 3;
    private static final int D0 = 0;
    private static final int D3_HOT = 3;
    private static final int VERSION_1_2 = 3;

    private int state = D0;
    private boolean resetRequested;

    PowerManagement() {
        super(ID, 8);
    }

    @Override
    void define(ConfigRegisters registers, int at) {
        registers.set(at + 2, 2, VERSION_1_2);
        registers.allowWrite(at + CONTROL_STATUS, 2, STATE_MASK);
    }

    boolean isFullPower() {
        return state == D0;
    }

    @Override
    void written(ConfigRegisters registers) {
        int wanted = (int) registers.read(offset() + CONTROL_STATUS, 1) & STATE_MASK;
        if (wanted != D0 && wanted != D3_HOT) {
            // D1 and D2 are optional, and absent here: the write is discarded.
            registers.set(offset() + CONTROL_STATUS, 1, state);
            return;
        }
        if (state == D3_HOT && wanted == D0) {
            resetRequested = true;
        }
        state = wanted;
    }

    @Override
    void reset() {
        state = D0;
    }

    @Override
    boolean takeResetRequest() {
        boolean requested = resetRequested;
        resetRequested = false;
        return requested;
    }
}
