package dev.mdev.core.hostmm;

import dev.mdev.api.Errno;

/// How a fault ended. Every fault ends in one of these, within a bounded time.
public sealed interface FaultResult {
    /// The page is mapped with rights that allow the access: try it again.
    ///
    /// @param pte the entry, a [HostPte]; it may be gone again when it is looked at
    record Mapped(long pte) implements FaultResult {}

    /// There is nothing to map; the access is to be emulated by the owner of the range.
    record Trapped() implements FaultResult {}

    /// The access fails.
    ///
    /// @param errno EFAULT where no vma is, EACCES where the vma does not allow the access, EAGAIN
    ///   where the page was revoked again and again while it was being filled, ETIMEDOUT where
    ///   another fault on the page was not answered in time; else what the owner said
    /// @param reason for people
    record Failed(Errno errno, String reason) implements FaultResult {}
}
