package dev.mdev.core.pci;

/// One entry of the capability list: its registers, and the effects of writes. Called under the
/// lock of its [PciConfigSpace].
abstract sealed class PciCapability
        permits PowerManagement,
                MsiCapability,
                MsixCapability,
                ExpressCapability,
                FunctionResetCapability,
                VendorCapability {
    private final int id;
    private final int lengthBytes;
    private int offset;

    /// @param id as in the PCI Code and ID Assignment Specification
    /// @param lengthBytes including the id and the pointer to the next
    PciCapability(int id, int lengthBytes) {
        this.id = id;
        this.lengthBytes = lengthBytes;
    }

    final int id() {
        return id;
    }

    final int lengthBytes() {
        return lengthBytes;
    }

    /// Puts the capability into the space at `at`, a multiple of 4.
    ///
    /// @param next the place of the next one; 0 for the last
    final void place(ConfigRegisters registers, int at, int next) {
        offset = at;
        registers.set(at, 1, id);
        registers.set(at + 1, 1, next);
        define(registers, at);
    }

    final int offset() {
        return offset;
    }

    /// Sets the initial values and the writable bits.
    abstract void define(ConfigRegisters registers, int at);

    /// A guest wrote somewhere in the space.
    void written(ConfigRegisters registers) {}

    /// A guest is about to read somewhere in the space.
    void refresh(ConfigRegisters registers) {}

    /// The registers were set to their defaults.
    void reset() {}

    /// Whether the last write requested a reset of the function. The call clears the request.
    boolean takeResetRequest() {
        return false;
    }
}
