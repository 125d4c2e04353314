package dev.mdev.api;

/// How a device raises interrupts. All methods may be called by any thread, never block, and do
/// nothing while the device is not assigned.
public interface Interrupts {
    /// Sends the message of an MSI or MSI-X vector, whichever the guest enabled. A masked vector
    /// stays pending and is sent when it is unmasked; with neither enabled, nothing happens.
    ///
    /// @param vector 0 to one less than the vectors of [IrqInfo]
    /// @throws IndexOutOfBoundsException if there is no such vector
    void trigger(int vector);

    /// Sets the level of the legacy line.
    ///
    /// @param asserted whether the device wants attention; stays so until changed
    void setLine(boolean asserted);
}
