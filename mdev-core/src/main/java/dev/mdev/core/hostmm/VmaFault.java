package dev.mdev.core.hostmm;

import dev.mdev.api.page.Access;

/// A fault in a vma, as [VmaOps#fault] sees it. Pages are counted from the object that the vma
/// maps, such as a device's region, not from the vma's start.
///
/// @param page the page that was touched
/// @param firstPage the lowest page a fill may cover
/// @param endPage the page a fill must not reach
/// @param access what the guest does
/// @param reason why the owner is asked
public record VmaFault(long page, long firstPage, long endPage, Access access, Reason reason) {
    /// Why an owner is asked.
    public enum Reason {
        /// The page has no entry.
        ABSENT,
        /// The page was mapped with too few rights until just now.
        UPGRADE,
        /// No guest waits: see [HostMm#populate].
        POPULATE
    }
}
