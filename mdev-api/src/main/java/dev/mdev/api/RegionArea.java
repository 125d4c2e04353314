package dev.mdev.api;

import dev.mdev.api.page.Page;

import java.util.Objects;

/// A page-aligned part of a region, and how guests reach it.
///
/// @param offsetBytes where it starts in the region, a multiple of the page size
/// @param sizeBytes its size, a multiple of the page size, at least one page
/// @param kind how accesses are served
/// @param aheadPages of a lazy area: the maximum number of pages that the host may ask for at a
///   time. The window of a request is then the host's choice: the accessed page, and after it the
///   pages that the guest will probably access next, up to this number. With 0, the default, the
///   window is everything that a grant may cover, and the driver alone decides how much of it to
///   grant
public record RegionArea(long offsetBytes, long sizeBytes, Kind kind, int aheadPages) {
    /// An area with `aheadPages` 0.
    public RegionArea(long offsetBytes, long sizeBytes, Kind kind) {
        this(offsetBytes, sizeBytes, kind, 0);
    }

    /// A lazy area from one page of the region up to, but not including, another, with `aheadPages`
    /// 0.
    public static RegionArea lazyPages(long firstPage, long endPage) {
        return new RegionArea(
                Page.addressOf(firstPage), Page.bytesOf(endPage - firstPage), Kind.LAZY);
    }

    /// How accesses to an area are served.
    public enum Kind {
        /// Each access is a call of [MdevDevice#read] or [MdevDevice#write].
        TRAPPED,
        /// Reserved when the guest maps it; each page is mapped at its first access, according to
        /// [MdevDevice#validateMapRequest].
        LAZY,
        /// All of it is mapped when the guest maps it, as direct device assignment does.
        EAGER
    }

    public RegionArea {
        Objects.requireNonNull(kind);
        if (offsetBytes < 0
                || sizeBytes < 1
                || offsetBytes > Long.MAX_VALUE - sizeBytes
                || !Page.isAligned(offsetBytes)
                || !Page.isAligned(sizeBytes)
                || aheadPages < 0
                || (aheadPages > 0 && kind != Kind.LAZY)) {
            throw new IllegalArgumentException(
                    "offsetBytes=0x%x sizeBytes=0x%x kind=%s aheadPages=%d"
                            .formatted(offsetBytes, sizeBytes, kind, aheadPages));
        }
    }

    /// The offset of the first byte after the area.
    public long endBytes() {
        return offsetBytes + sizeBytes;
    }
}
