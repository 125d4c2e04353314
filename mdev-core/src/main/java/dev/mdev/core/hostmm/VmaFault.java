package dev.mdev.core.hostmm;

import dev.mdev.api.page.Access;

/// A fault in a vma, as [VmaOps#fault] sees it. Pages count from the start of the object that the
/// vma maps, such as a device's region.
///
/// @param page the accessed page
/// @param firstPage the lowest page a fill may cover
/// @param endPage the end of the pages that a fill may cover
/// @param access the guest's access
/// @param reason the reason for the request
public record VmaFault(long page, long firstPage, long endPage, Access access, Reason reason) {
    /// The reason for a request to an owner.
    public enum Reason {
        /// The page has no entry.
        ABSENT,
        /// The page was mapped with insufficient rights until now.
        UPGRADE,
        /// No guest waits: see [HostMm#populate].
        POPULATE
    }
}
