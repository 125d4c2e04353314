package dev.mdev.api;

import dev.mdev.api.page.Page;

/// A page-aligned part of a region, and how guests reach it.
///
/// @param offsetBytes where it starts in the region, a multiple of the page size
/// @param sizeBytes its size, a multiple of the page size, at least one page
/// @param kind how accesses are served
/// @param aheadPages of a lazy area: the most pages that the host may ask for at a time. The window
///   of a request is then what the host wants: the touched page, and after it as many as are likely
///   to be touched next, up to this number. With 0, the default, the host does not guess: the
///   window is all that a grant may cover, and how much of it is granted is for the driver alone
public record RegionArea(long offsetBytes, long sizeBytes, Kind kind, int aheadPages) {
    /// An area where the host does not guess.
    public RegionArea(long offsetBytes, long sizeBytes, Kind kind) {
        this(offsetBytes, sizeBytes, kind, 0);
    }

    /// A lazy area from one page of the region up to, but not with, another, where the host does
    /// not guess.
    public static RegionArea lazyPages(long firstPage, long endPage) {
        return new RegionArea(
                Page.addressOf(firstPage), Page.bytesOf(endPage - firstPage), Kind.LAZY);
    }

    /// How accesses to an area are served.
    public enum Kind {
        /// Each access is a call of [MdevDevice#read] or [MdevDevice#write].
        TRAPPED,
        /// Reserved when the guest maps it; each page is mapped when it is first touched, as
        /// [MdevDevice#validateMapRequest] answers.
        LAZY,
        /// All of it is mapped when the guest maps it, as direct device assignment does.
        EAGER
    }

    public RegionArea {
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
