package dev.mdev.core.pci;

/// One entry of the capability list: the registers it has, and what writing them means. Called
/// under the lock of its [PciConfigSpace].
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

    /// @param id as the PCI Code and ID Assignment Specification has it
    /// @param lengthBytes with the id and the pointer to the next
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
    /// @param next where the next one is; 0 for the last
    final void place(ConfigRegisters registers, int at, int next) {
        offset = at;
        registers.set(at, 1, id);
        registers.set(at + 1, 1, next);
        define(registers, at);
    }

    final int offset() {
        return offset;
    }

    /// Sets the first values and the bits that a guest can write.
    abstract void define(ConfigRegisters registers, int at);

    /// A guest wrote somewhere in the space.
    void written(ConfigRegisters registers) {}

    /// A guest is about to read somewhere in the space.
    void refresh(ConfigRegisters registers) {}

    /// The registers were set to their defaults.
    void reset() {}

    /// Whether the last write asked for a reset of the function. Asking takes the request.
    boolean takeResetRequest() {
        return false;
    }
}
