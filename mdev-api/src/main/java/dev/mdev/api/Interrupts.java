package dev.mdev.api;

/// How a device raises interrupts. Any thread may call all methods. They never block, and do
/// nothing while the device is idle.
public interface Interrupts {
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
