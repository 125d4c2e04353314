package dev.mdev.api;

import dev.mdev.api.page.Access;

/// The question behind a fault: what may be mapped at this page of this region?
///
/// @param region the region's index
/// @param page the touched page, counted from the region's start
/// @param firstPage the lowest page a grant may start at, at most `page`
/// @param endPage the page that a grant must not reach, more than `page`. In an area that declares
///   [RegionArea#aheadPages] the host would like all pages up to here; a grant may cover fewer
/// @param access what the guest does
/// @param reason why there is no mapping
public record MapRequest(
        int region, long page, long firstPage, long endPage, Access access, Reason reason) {
    /// Why the host asks.
    public enum Reason {
        /// The page was not mapped since the device was given to this guest.
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
