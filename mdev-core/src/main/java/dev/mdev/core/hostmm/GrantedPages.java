package dev.mdev.core.hostmm;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;

import java.util.ArrayList;
import java.util.List;

/// What the owner of a vma granted.
///
/// @param firstPage where the first pfn goes, counted from the vma's start
record GrantedPages(long firstPage, PfnRange pfns, Prot prot) {
    long endPage() {
        return firstPage + pfns.npages();
    }

    PfnRange pfnsAt(long page, long npages) {
        return new PfnRange(pfns.firstPfn() + (page - firstPage), npages);
    }

    /// Pages that are mapped to the very page that is granted, with fewer rights than are granted,
    /// as runs of neighbours.
    ///
    /// @param startHva where the vma starts
    List<HvaRange> narrowerIn(PteTable table, long startHva) {
        List<HvaRange> runs = new ArrayList<>();
        long page = firstPage;
        while (page < endPage()) {
            long first = page;
            while (page < endPage() && isNarrower(table.getAcquire(page), page)) {
                page++;
            }
            if (page > first) {
                runs.add(HvaRange.ofPages(startHva + Page.addressOf(first), page - first));
            }
            page++;
        }
        return runs;
    }

    private boolean isNarrower(long pte, long page) {
        return HostPte.isPresent(pte)
                && HostPte.pfn(pte) == pfnsAt(page, 1).firstPfn()
                && !HostPte.prot(pte).includes(prot);
    }
}
