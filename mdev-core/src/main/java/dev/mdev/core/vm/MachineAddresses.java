package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

/// Where a machine has what, by the bits that its guest-physical addresses have.
///
/// BARs begin at 2^40, in a window of 2^40 bytes. Many processors have 39 or 40 bits, and a slot
/// beyond them is refused: there the window is the upper half of the addresses, less their last
/// GiB, which the engine may need.
///
/// @param physicalAddressBits 32 to 52
public record MachineAddresses(int physicalAddressBits) {
    /// The size of [#ecamGpa]'s window: one bus of 32 devices with 8 functions of 4096 bytes.
    public static final long ECAM_BYTES = 1L << 20;

    private static final int USUAL_WINDOW_BITS = 40;
    private static final int LEAST_BITS = 32;
    private static final int MOST_BITS = 52;
    private static final long GIB = 1L << 30;

    /// @throws MdevException EINVAL if the bits are out of range
    public MachineAddresses {
        if (physicalAddressBits < LEAST_BITS || physicalAddressBits > MOST_BITS) {
            throw new MdevException(Errno.EINVAL, "physicalAddressBits=" + physicalAddressBits);
        }
    }

    private boolean isUsual() {
        return physicalAddressBits > USUAL_WINDOW_BITS + 1;
    }

    /// The lowest address for BARs of 64 bits. RAM ends below.
    public long barWindowGpa() {
        return 1L << (isUsual() ? USUAL_WINDOW_BITS : physicalAddressBits - 1);
    }

    /// The address of memory-mapped configuration space (PCI Express Base Specification, "Enhanced
    /// Configuration Access Mechanism"), at the end of the BARs' addresses: the function's device
    /// number is in bits 19 to 15 of the address, its function number in bits 14 to 12.
    public long ecamGpa() {
        return 2 * barWindowGpa() - (isUsual() ? 0 : GIB) - ECAM_BYTES;
    }

    /// The highest guest frame.
    public long maxGfn() {
        return (1L << (physicalAddressBits - 12)) - 1;
    }
}
