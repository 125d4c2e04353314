package dev.mdev.core.pci;

/// An interrupt as it leaves a function.
public sealed interface Interrupt {
    /// The legacy line was asserted, or is still asserted after its acknowledgement.
    record Line() implements Interrupt {}

    /// A message: a write of `data` to `address`.
    ///
    /// @param msix whether it is an MSI-X vector; otherwise MSI
    /// @param vector the vector's number
    /// @param address guest-physical
    record Message(boolean msix, int vector, long address, int data) implements Interrupt {}

    /// The host wants the device back (VFIO's request interrupt).
    record ReleaseRequest() implements Interrupt {}
}
