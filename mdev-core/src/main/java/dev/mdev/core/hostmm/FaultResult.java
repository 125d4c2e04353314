package dev.mdev.core.hostmm;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;

/// How a fault ended. Every fault ends in one of these, within a bounded time.
public sealed interface FaultResult {
    /// The page is mapped with rights that allow the access: try it again.
    ///
    /// @param pte the entry, a [HostPte]; it may be gone again when it is looked at
    record Mapped(long pte) implements FaultResult {}

    /// Nothing is mapped: what an owner answers, and how the fault ends then.
    sealed interface NotMapped extends FaultResult, Fill {}

    /// This access is to be emulated by the owner of the range.
    record Trapped() implements NotMapped {}

    /// This access fails.
    ///
    /// @param refusal EFAULT where no vma is, EACCES where the vma does not allow the access,
    ///   EAGAIN where the page was revoked again and again while it was being filled, ETIMEDOUT
    ///   where another fault on the page was not answered in time; else what the owner said
    record Failed(Refusal refusal) implements NotMapped {
        public Failed(Errno errno, String reason) {
            this(new Refusal(errno, reason));
        }
    }
}
