package dev.mdev.core.hostmm;

import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;

/// The exit: how an engine makes a mapping real. [HostMm] decides and keeps the entries; this only
/// carries them out.
///
/// Calls for one vma come one at a time, under that vma's entries lock; calls for different vmas
/// may run at the same time. So an implementation must not call back into [HostMm], and must not
/// run driver code.
public interface HostPageTable {
    /// Finds a free range of addresses and reserves it, with no mapping in it.
    ///
    /// @param npages at least 1
    /// @param kind whether accesses may fault and be filled later
    /// @throws dev.mdev.api.MdevException ENOMEM if there is no such range
    HvaRange reserve(long npages, Kind kind);

    /// Releases a reserved range, with all mappings in it.
    void release(HvaRange range);

    /// Maps `pfns`, in order, from `hva` on. The range has no mapping now.
    ///
    /// @throws dev.mdev.api.MdevException ENOMEM if the engine cannot hold another mapping; nothing
    ///   is mapped then
    void map(long hva, PfnRange pfns, Prot prot);

    /// Removes all mappings in the range, which stays reserved. When it returns, no access through
    /// the engine's own tables reaches the old pages.
    void zap(HvaRange range);

    /// The purpose of a reserved range.
    enum Kind {
        /// An access to an unmapped page faults into [HostMm#handleFault].
        LAZY,
        /// All of it is mapped right after its reservation, permanently.
        EAGER
    }
}
