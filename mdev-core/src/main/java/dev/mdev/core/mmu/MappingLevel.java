package dev.mdev.core.mmu;

import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.Memslot;

/// The maximum size of a leaf (Linux `kvm_mmu_hugepage_adjust` and the `lpage_info` of a slot).
final class MappingLevel {
    private final HostMm mm;
    private final WriteTracking tracking;

    MappingLevel(HostMm mm, WriteTracking tracking) {
        this.mm = mm;
        this.tracking = tracking;
    }

    /// The level of the leaf that may map `gfn`, by these rules:
    ///
    /// - A slot that logs is mapped by 4 KiB, so that the log is exact.
    /// - A leaf lies wholly in the slot.
    /// - Guest frame and host address agree below the leaf's size.
    /// - The host maps the same range in one piece.
    /// - No page in it has a write watch.
    int of(Memslot slot, long gfn) {
        if (slot.logsDirty()) {
            return Stage2Table.LEVEL_4K;
        }
        int host = mm.mappingLevel(slot.hvaOf(gfn));
        for (int level = host; level > Stage2Table.LEVEL_4K; level--) {
            long npages = Stage2Table.pagesPerLeaf(level);
            long first = gfn & -npages;
            boolean inside = first >= slot.baseGfn() && first + npages <= slot.endGfn();
            boolean congruent = ((Page.numberOf(slot.hva()) ^ slot.baseGfn()) & (npages - 1)) == 0;
            if (inside && congruent && !tracking.anyWatched(slot, first, npages)) {
                return level;
            }
        }
        return Stage2Table.LEVEL_4K;
    }
}
