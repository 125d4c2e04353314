package dev.mdev.core.hostmm;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;

/// How a fault ended. Every fault ends in one of these, within a bounded time.
public sealed interface FaultResult {
    /// The page is mapped with rights that allow the access: retry it.
    ///
    /// @param pte the entry, a [HostPte]; it may disappear before the caller reads it
    record Mapped(long pte) implements FaultResult {}

    /// Nothing is mapped: an owner's answer, and the end of a fault.
    sealed interface NotMapped extends FaultResult, Fill {}

    /// The owner of the range emulates this access.
    record Trapped() implements NotMapped {}

    /// This access fails.
    ///
    /// @param refusal EFAULT outside every vma, EACCES where the vma does not allow the access,
    ///   EAGAIN where the page was revoked repeatedly while it was being filled, ETIMEDOUT where
    ///   another fault on the page had no answer in time; otherwise the owner's error
    record Failed(Refusal refusal) implements NotMapped {
        public Failed(Errno errno, String reason) {
            this(new Refusal(errno, reason));
        }
    }
}
