package dev.mdev.core.pci;

import dev.mdev.api.Interrupts;

import java.util.List;
import java.util.Optional;

/// What a function's interrupts are at a moment, as its guest set them up.
///
/// @param enabled the kind that the guest uses, if it uses one
/// @param lineAsserted whether the device asserts the legacy line
/// @param vectors of the kind that is used if it has messages; else those of MSI-X, or of MSI if
///   the device has no MSI-X
public record InterruptState(
        Optional<Interrupts.Kind> enabled, boolean lineAsserted, List<Vector> vectors) {
    /// One vector of messages.
    ///
    /// @param masked whether the guest masked this vector; a new MSI-X table has all masked
    /// @param pending whether it waits to be sent
    public record Vector(int vector, boolean masked, boolean pending) {}
}
