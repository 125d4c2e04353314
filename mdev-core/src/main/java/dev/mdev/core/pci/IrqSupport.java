package dev.mdev.core.pci;

/// A device's support for one kind of interrupt: the answer of `VFIO_DEVICE_GET_IRQ_INFO`.
///
/// @param flags `EVENTFD`, `MASKABLE`, `AUTOMASKED`, `NORESIZE`
/// @param count vectors
public record IrqSupport(int flags, int count) {
    /// Sinks can be bound.
    public static final int EVENTFD = 1;

    /// Can be masked and unmasked by request.
    public static final int MASKABLE = 1 << 1;

    /// Masks itself when it fires.
    public static final int AUTOMASKED = 1 << 2;

    /// All vectors are bound at once; to bind more, disable first.
    public static final int NORESIZE = 1 << 3;
}
