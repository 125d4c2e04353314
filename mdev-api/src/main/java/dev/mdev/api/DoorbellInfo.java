package dev.mdev.api;

/// A doorbell of a device: a register to which guests store to say that there is work, as a KVM
/// ioeventfd. What is stored is lost; the work is described elsewhere, such as in guest memory.
///
/// A store of exactly this width at exactly this place does not wait for the driver: the host calls
/// [MdevDevice#rung] afterwards, on another thread. Loads from the place, and stores of another
/// width, are register accesses as elsewhere.
///
/// @param region a BAR of the driver's
/// @param offsetBytes in the BAR, outside the mapped areas and the MSI-X table; a multiple of the
///   width
/// @param widthBytes 1, 2, 4 or 8
public record DoorbellInfo(int region, long offsetBytes, int widthBytes) {
    /// The maximum number of doorbells of a device.
    public static final int MAX_DOORBELLS = 64;

    public DoorbellInfo {
        if (region < 0
                || region > RegionInfo.LAST_BAR
                || offsetBytes < 0
                || widthBytes < 1
                || widthBytes > Long.BYTES
                || Integer.bitCount(widthBytes) != 1
                || offsetBytes % widthBytes != 0) {
            throw new IllegalArgumentException(
                    "region=%d offsetBytes=0x%x widthBytes=%d"
                            .formatted(region, offsetBytes, widthBytes));
        }
    }

    /// What a driver answers to [MdevDevice#rung].
    public enum Answer {
        /// There is no more work. The host calls again at the next store.
        DONE,

        /// There is more work. The host calls once more, without a store. Before that, callbacks
        /// that wait for the device get their turn, such as a reset.
        AGAIN
    }
}
