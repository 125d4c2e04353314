package dev.mdev.core.hostmm;

/// The owner of a lazy vma (Linux `vm_operations_struct`).
public interface VmaOps {
    /// Decides what to map where a guest accessed a page without an entry, or without the needed
    /// right.
    ///
    /// Called without a lock, by the faulting thread, concurrently for different pages but only
    /// once at a time for one page. It may zap, even this page: then the answer is discarded, and
    /// the owner is asked again.
    Fill fault(VmaFault fault);

    /// Entries for pages `[firstPage, firstPage + npages)` were installed where none was. Called
    /// under the vma's entries lock: must be short and take no lock.
    default void installed(long firstPage, long npages) {}

    /// The entry of one page is gone. Called under the vma's entries lock: must be short and take
    /// no lock.
    default void removed(long page) {}
}
