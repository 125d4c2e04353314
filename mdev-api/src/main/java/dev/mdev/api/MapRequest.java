package dev.mdev.api;

import dev.mdev.api.page.Access;

/// The request behind a fault: what may be mapped at this page of this region?
///
/// @param region the region's index
/// @param page the accessed page, counted from the region's start
/// @param firstPage the lowest page a grant may start at, at most `page`
/// @param endPage the end of the pages that a grant may cover, more than `page`. In an area that
///   declares [RegionArea#aheadPages] the host asks for all pages up to here; a grant may cover
///   fewer
/// @param access the guest's access
/// @param reason why there is no mapping
public record MapRequest(
        int region, long page, long firstPage, long endPage, Access access, Reason reason) {
    /// The reason of a request.
    public enum Reason {
        /// The page has not been mapped since the guest got the device.
        FIRST_TOUCH,
        /// The page's mapping was revoked.
        AFTER_REVOKE,
        /// The page is mapped without the right that the access needs.
        UPGRADE,
        /// No guest waits; the host maps ahead.
        PREFETCH
    }

    public MapRequest {
        if (region < 0 || firstPage < 0 || page < firstPage || endPage <= page) {
            throw new IllegalArgumentException(
                    "region=%d page=%d firstPage=%d endPage=%d"
                            .formatted(region, page, firstPage, endPage));
        }
    }
}
