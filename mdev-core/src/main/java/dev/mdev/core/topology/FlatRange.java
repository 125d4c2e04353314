package dev.mdev.core.topology;

import dev.mdev.core.addr.HvaRange;

import java.util.OptionalLong;
import java.util.Set;

/// A run of guest physical addresses that one region answers.
///
/// @param firstGpa the first address, unsigned
/// @param lastGpa the last address, unsigned, at least `firstGpa`
/// @param region the region that answers: RAM, ROM, a ROM device or a device
/// @param offsetBytes the offset within the region of `firstGpa`, unsigned
/// @param readonly whether the region, or a region it is seen through, is read-only
/// @param romd whether a ROM device is in ROM mode; true for every other region
/// @param mergeable whether the range may become one with a neighbour
/// @param logClients the clients of its dirty log; empty for a device
public record FlatRange(
        long firstGpa,
        long lastGpa,
        MemoryRegion region,
        long offsetBytes,
        boolean readonly,
        boolean romd,
        boolean mergeable,
        Set<DirtyClient> logClients) {
    public FlatRange {
        logClients = Set.copyOf(logClients);
        if (Long.compareUnsigned(firstGpa, lastGpa) > 0 || !region.kind().isTerminating()) {
            throw new IllegalArgumentException(
                    "not a flat range: firstGpa=0x%x lastGpa=0x%x region=%s"
                            .formatted(firstGpa, lastGpa, region));
        }
    }

    /// Whether `gpa` is in the range.
    public boolean contains(long gpa) {
        return Long.compareUnsigned(gpa, firstGpa) >= 0 && Long.compareUnsigned(gpa, lastGpa) <= 0;
    }

    /// The host address of `firstGpa` if memory can serve a guest's loads.
    public OptionalLong readableHva() {
        return switch (region.kind()) {
            case RegionKind.Ram(HvaRange host) -> hvaIn(host);
            case RegionKind.Smram(HvaRange host) -> hvaIn(host);
            case RegionKind.Rom(HvaRange host) -> hvaIn(host);
            case RegionKind.RomDevice(HvaRange host) -> romd ? hvaIn(host) : OptionalLong.empty();
            case RegionKind.Mmio _, RegionKind.Container _, RegionKind.Alias _ ->
                    OptionalLong.empty();
        };
    }

    /// Whether a guest's stores go to memory.
    public boolean isWritable() {
        return (region.kind() instanceof RegionKind.Ram || isSmram()) && !readonly;
    }

    /// Whether only processors in system management mode see it.
    public boolean isSmram() {
        return region.kind() instanceof RegionKind.Smram;
    }

    /// Whether both are equal except for their log clients.
    boolean equalsButForLog(FlatRange other) {
        return firstGpa == other.firstGpa
                && lastGpa == other.lastGpa
                && hasSameNature(other)
                && offsetBytes == other.offsetBytes;
    }

    /// Whether this and the adjacent next range can be merged.
    boolean joins(FlatRange next) {
        return mergeable
                && next.mergeable
                && lastGpa != -1L
                && lastGpa + 1 == next.firstGpa
                && hasSameNature(next)
                && logClients.equals(next.logClients)
                && offsetBytes + (lastGpa - firstGpa) + 1 == next.offsetBytes;
    }

    /// This and `next` merged; only if [#joins].
    FlatRange join(FlatRange next) {
        return new FlatRange(
                firstGpa, next.lastGpa, region, offsetBytes, readonly, romd, mergeable, logClients);
    }

    private boolean hasSameNature(FlatRange other) {
        return region == other.region
                && readonly == other.readonly
                && romd == other.romd
                && mergeable == other.mergeable;
    }

    private OptionalLong hvaIn(HvaRange host) {
        return OptionalLong.of(host.startHva() + offsetBytes);
    }

    @Override
    public String toString() {
        return "[0x%x, 0x%x] %s+0x%x%s%s%s%s"
                .formatted(
                        firstGpa,
                        lastGpa,
                        region,
                        offsetBytes,
                        readonly ? " ro" : "",
                        romd ? "" : " command",
                        mergeable ? "" : " apart",
                        logClients.isEmpty() ? "" : " " + logClients);
    }
}
