package dev.mdev.core.topology;

/// The size of a region: 0 to 2^64 bytes, both included. Neither end fits an unsigned `long`
/// together with the other.
///
/// @param lastOffsetBytes the offset of the last byte, unsigned; 0 for an empty region
/// @param empty whether the region has no byte
public record RegionSize(long lastOffsetBytes, boolean empty) {
    /// 2^64 bytes.
    public static final RegionSize WHOLE_SPACE = new RegionSize(-1L, false);

    private static final RegionSize NOTHING = new RegionSize(0, true);

    /// @param sizeBytes 0 to 2^64 - 1, unsigned
    public static RegionSize of(long sizeBytes) {
        return sizeBytes == 0 ? NOTHING : new RegionSize(sizeBytes - 1, false);
    }
}
