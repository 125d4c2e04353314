package dev.mdev.api;

/// How a device raises interrupts. Any thread may call all methods. They never block, and do
/// nothing while the device is idle.
public interface Interrupts {
    /// The kinds of interrupt that a PCI function has. A guest uses one of them at a time.
    enum Kind {
        /// The legacy line, INTx.
        LINE,
        /// Messages by MSI.
        MSI,
        /// Messages by MSI-X.
        MSIX
    }

    /// Whether the guest uses this kind now: it enabled MSI or MSI-X, or neither and did not
    /// disable the line. For a device that has several kinds and signals in the one that is heard.
    /// The answer may be out of date when it arrives.
    boolean isEnabled(Kind kind);

    /// Sends the message of an MSI or MSI-X vector, depending on the guest's choice. A masked
    /// vector stays pending and is sent when it is unmasked; if neither is enabled, nothing
    /// happens.
    ///
    /// @param vector 0 to one less than the vectors of [IrqInfo]
    /// @throws IndexOutOfBoundsException if there is no such vector
    void trigger(int vector);

    /// Sets the level of the legacy line.
    ///
    /// @param asserted whether the device requests attention; constant until the next call
    void setLine(boolean asserted);
}
