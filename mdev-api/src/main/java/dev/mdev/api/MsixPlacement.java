package dev.mdev.api;

/// The place of the MSI-X table and the pending bits in a BAR of the device. The host answers
/// accesses there; the driver does not see them.
///
/// @param bar the BAR's index; the two places must be in trapped parts of it
/// @param tableOffsetBytes a multiple of 8; 16 bytes per vector
/// @param pbaOffsetBytes a multiple of 8; one bit per vector, rounded up to 8 bytes
public record MsixPlacement(int bar, long tableOffsetBytes, long pbaOffsetBytes) {
    public MsixPlacement {
        if (bar < 0
                || bar > RegionInfo.LAST_BAR
                || !isPlace(tableOffsetBytes)
                || !isPlace(pbaOffsetBytes)) {
            throw new IllegalArgumentException(
                    "bar=%d tableOffsetBytes=0x%x pbaOffsetBytes=0x%x"
                            .formatted(bar, tableOffsetBytes, pbaOffsetBytes));
        }
    }

    private static boolean isPlace(long offsetBytes) {
        return offsetBytes >= 0 && offsetBytes <= 0xffff_fff8L && offsetBytes % 8 == 0;
    }
}
