package dev.mdev.core.hostmm;

/// The owner of a lazy vma (Linux `vm_operations_struct`).
public interface VmaOps {
    /// Says what to map where a guest touched a page that has no entry, or an entry without the
    /// right it needs.
    ///
    /// Called with no lock held, by the thread that faulted, for different pages at the same time
    /// but for one page only once at a time. It may zap, this very page included: the answer is
    /// then thrown away and asked for again.
    Fill fault(VmaFault fault);

    /// Entries for pages `[firstPage, firstPage + npages)` were installed; none was there. Called
    /// under the vma's entries lock: must be short and take no lock.
    default void installed(long firstPage, long npages) {}

    /// The entry of one page is gone. Called under the vma's entries lock: must be short and take
    /// no lock.
    default void removed(long page) {}
}
