package dev.mdev.core.hostmm;

import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

/// How the owner of a vma answers a [VmaFault].
public sealed interface Fill permits Fill.Map, FaultResult.NotMapped {
    /// Map these pages. They cover the accessed page, lie within the fault's window, and allow the
    /// access.
    ///
    /// @param firstPage the place of the first pfn, counted as in [VmaFault]
    record Map(long firstPage, PfnRange pfns, Prot prot) implements Fill {
        boolean covers(VmaFault fault) {
            return firstPage >= fault.firstPage()
                    && firstPage <= fault.page()
                    && pfns.npages() > fault.page() - firstPage
                    && pfns.npages() <= fault.endPage() - firstPage
                    && prot.allows(fault.access());
        }
    }
}
