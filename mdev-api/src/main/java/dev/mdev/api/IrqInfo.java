package dev.mdev.api;

/// The interrupts a device can raise.
///
/// @param intx whether it has the legacy line
/// @param msiVectors MSI vectors: 0, or a power of two up to 32
/// @param msixVectors MSI-X vectors, 0 to 2048
public record IrqInfo(boolean intx, int msiVectors, int msixVectors) {
    /// A device without interrupts.
    public static final IrqInfo NONE = new IrqInfo(false, 0, 0);

    public IrqInfo {
        if (msiVectors < 0
                || msiVectors > 32
                || Integer.bitCount(msiVectors) > 1
                || msixVectors < 0
                || msixVectors > 2048) {
            throw new IllegalArgumentException(
                    "msiVectors=%d msixVectors=%d".formatted(msiVectors, msixVectors));
        }
    }
}
