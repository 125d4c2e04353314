package dev.mdev.core.hostmm;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;

/// The owner of a lazy vma (Linux `vm_operations_struct`).
public interface VmaOps {
    /// Decides what to map where a guest accessed a page without an entry, or without the needed
    /// right.
    ///
    /// Called without a lock, by the faulting thread, concurrently for different pages but only
    /// once at a time for one page. It may zap, even this page: then the answer is discarded, and
    /// the owner is asked again.
    Fill fault(VmaFault fault);

    /// Each of the owner's answers to a fault was zapped before its installation, for as long as a
    /// fault may take: the fault fails.
    ///
    /// @param answers how many
    /// @return the failure of the access
    default Refusal overtaken(VmaFault fault, int answers) {
        return new Refusal(
                Errno.EAGAIN,
                "each of %d answers was revoked: page=%d".formatted(answers, fault.page()));
    }

    /// Entries for pages `[firstPage, firstPage + npages)` were installed where none was. Called
    /// under the vma's entries lock: must be short and take no lock.
    default void installed(long firstPage, long npages) {}

    /// The entry of one page is gone. Called under the vma's entries lock: must be short and take
    /// no lock.
    default void removed(long page) {}
}
