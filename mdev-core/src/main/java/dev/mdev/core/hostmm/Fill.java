package dev.mdev.core.hostmm;

import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.jspecify.annotations.Nullable;

import java.util.function.Consumer;

/// How the owner of a vma answers a [VmaFault].
public sealed interface Fill permits Fill.Map, FaultResult.NotMapped {
    /// Map these pages. They cover the accessed page, lie within the fault's window, and allow the
    /// access.
    ///
    /// @param firstPage the place of the first pfn, counted as in [VmaFault]
    /// @param settled receives the end of the fault, without a lock; not called if the pages were
    ///   zapped before their installation, because then the owner is asked again
    record Map(long firstPage, PfnRange pfns, Prot prot, Consumer<FaultResult> settled)
            implements Fill {
        public Map(long firstPage, PfnRange pfns, Prot prot) {
            this(firstPage, pfns, prot, _ -> {});
        }

        /// @param result null if the pages were zapped before their installation
        @Nullable FaultResult settle(@Nullable FaultResult result) {
            if (result != null) {
                settled.accept(result);
            }
            return result;
        }

        boolean covers(VmaFault fault) {
            return firstPage >= fault.firstPage()
                    && firstPage <= fault.page()
                    && pfns.npages() > fault.page() - firstPage
                    && pfns.npages() <= fault.endPage() - firstPage
                    && prot.allows(fault.access());
        }
    }
}
