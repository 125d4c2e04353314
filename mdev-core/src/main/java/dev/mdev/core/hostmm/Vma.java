package dev.mdev.core.hostmm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/// One reserved range of host virtual addresses (Linux `vm_area_struct`), with its entries.
///
/// A lazy vma has [VmaOps] and entries page by page; an eager vma maps one run of physical pages
/// completely, for its whole life.
public final class Vma {
    private final HvaRange range;
    private final Prot prot;
    private final HostPageTable pageTable;

    /// The page of the mapped object at the vma's start.
    private final long objectPage;

    private final @Nullable VmaOps ops;
    private final @Nullable PfnRange eagerPfns;
    private final PteTable table;

    private final ReentrantLock entries = new ReentrantLock();

    @GuardedBy("entries")
    private final List<PendingFill> pending = new ArrayList<>();

    /// Written under `entries`. An eager vma has no entries, and readers take no lock.
    private volatile boolean removed;

    private Vma(
            HvaRange range,
            Prot prot,
            HostPageTable pageTable,
            long objectPage,
            @Nullable VmaOps ops,
            @Nullable PfnRange eagerPfns) {
        this.range = range;
        this.prot = prot;
        this.pageTable = pageTable;
        this.objectPage = objectPage;
        this.ops = ops;
        this.eagerPfns = eagerPfns;
        this.table = new PteTable(ops == null ? 0 : range.npages());
    }

    static Vma lazy(
            HvaRange range, Prot prot, HostPageTable pageTable, long objectPage, VmaOps ops) {
        return new Vma(range, prot, pageTable, objectPage, ops, null);
    }

    static Vma eager(HvaRange range, Prot prot, HostPageTable pageTable, PfnRange pfns) {
        return new Vma(range, prot, pageTable, 0, null, pfns);
    }

    /// The addresses.
    public HvaRange range() {
        return range;
    }

    /// The maximum rights of an access.
    public Prot prot() {
        return prot;
    }

    /// Pages that have an entry now.
    public long residentPages() {
        return eagerPfns == null ? table.present() : eagerPfns.npages();
    }

    /// Pages of `[firstPage, endPage)`, counted from the vma's start, that have an entry now. Takes
    /// no lock: while pages come and go, the answer is of no one moment.
    public long residentPages(long firstPage, long endPage) {
        return eagerPfns == null ? table.presentIn(firstPage, endPage) : endPage - firstPage;
    }

    /// The entry at `hva`, which lies in the range; [HostPte#NONE] if there is none. Takes no lock.
    long lookup(long hva) {
        long page = Page.numberOf(hva - range.startHva());
        PfnRange eager = eagerPfns;
        if (eager == null) {
            return table.getAcquire(page);
        }
        return removed ? HostPte.NONE : HostPte.of(eager.firstPfn() + page, prot);
    }

    /// See [HostMm#mappingLevel]. A lazy vma has pieces of at most 2 MiB: page-by-page grants form
    /// a large piece if all of it is present and in order.
    int mappingLevel(long hva) {
        PfnRange eager = eagerPfns;
        if (eager != null) {
            return PteTable.levelOf(range, eager.firstPfn(), hva);
        }
        return isWhole(hva) ? 2 : 1;
    }

    /// Whether the 2 MiB around `hva` are mapped in order, from a physical page of the same
    /// alignment.
    private boolean isWhole(long hva) {
        long bytes = Page.bytesOf(1L << PteTable.LEAF_SHIFT);
        long start = hva & -bytes;
        return start >= range.startHva()
                && start + bytes <= range.endHva()
                && table.isWhole(Page.numberOf(start - range.startHva()));
    }

    /// Answers a fault at `hva`, which lies in the range and for which the vma has the right.
    ///
    /// @param populating true if no guest waits
    /// @return the outcome, or null to start again
    @Nullable FaultResult fault(long hva, Access access, boolean populating, VmaFaults mm) {
        VmaOps owner = ops;
        if (owner == null) {
            long pte = lookup(hva);
            return HostPte.isPresent(pte) ? new FaultResult.Mapped(pte) : HostMm.noMapping(hva);
        }
        long page = Page.numberOf(hva - range.startHva());
        PendingFill other;
        PendingFill mine = new PendingFill(page, access);
        VmaFault.Reason reason;
        entries.lock();
        try {
            if (removed) {
                return HostMm.noMapping(hva);
            }
            long pte = table.getAcquire(page);
            if (HostPte.isPresent(pte) && HostPte.prot(pte).allows(access)) {
                return new FaultResult.Mapped(pte);
            }
            reason = reasonOf(pte, populating);
            other = pendingForLocked(page);
            if (other == null) {
                pending.add(mine);
            }
        } finally {
            entries.unlock();
        }
        return other != null
                ? other.awaitFor(access, objectPage, mm.fillTimeoutNanos())
                : fill(owner, mine, reason, mm);
    }

    private static VmaFault.Reason reasonOf(long pte, boolean populating) {
        if (HostPte.isPresent(pte)) {
            return VmaFault.Reason.UPGRADE;
        }
        return populating ? VmaFault.Reason.POPULATE : VmaFault.Reason.ABSENT;
    }

    @GuardedBy("entries")
    private @Nullable PendingFill pendingForLocked(long page) {
        for (PendingFill fill : pending) {
            if (fill.page == page) {
                return fill;
            }
        }
        return null;
    }

    private @Nullable FaultResult fill(
            VmaOps owner, PendingFill mine, VmaFault.Reason reason, VmaFaults mm) {
        // In every case below, waiting faults must get a result.
        FaultResult outcome =
                new FaultResult.Failed(Errno.EIO, "the fault was not answered: internal error");
        try {
            if (reason == VmaFault.Reason.UPGRADE) {
                // An entry is never replaced in place: it is removed with everything derived from
                // it, and a new one is installed.
                mm.zap(HvaRange.ofPages(hvaOf(mine.page), 1));
                forgetZaps(mine);
            }
            VmaFault fault =
                    new VmaFault(
                            objectPage + mine.page,
                            objectPage,
                            objectPage + range.npages(),
                            mine.access,
                            reason);
            FaultResult answered =
                    switch (owner.fault(fault)) {
                        case Fill.Map map -> map.settle(install(owner, mine, fault, map, mm));
                        case FaultResult.NotMapped refused -> refused;
                    };
            // For waiting faults, a restart is as good as mapped: they look again.
            outcome = answered == null ? new FaultResult.Mapped(HostPte.NONE) : answered;
            return answered;
        } finally {
            entries.lock();
            try {
                pending.remove(mine);
            } finally {
                entries.unlock();
            }
            mine.finish(outcome);
        }
    }

    /// Fails a fault whose answers were all zapped before their installation.
    FaultResult overtaken(long hva, Access access, int answers) {
        VmaOps owner = ops;
        if (owner == null) {
            return HostMm.noMapping(hva);
        }
        VmaFault fault =
                new VmaFault(
                        objectPage + Page.numberOf(hva - range.startHva()),
                        objectPage,
                        objectPage + range.npages(),
                        access,
                        VmaFault.Reason.ABSENT);
        return new FaultResult.Failed(owner.overtaken(fault, answers));
    }

    /// The upgrade's own zap does not count as a concurrent zap.
    private void forgetZaps(PendingFill mine) {
        entries.lock();
        try {
            var _ = mine.takeZappedLocked(mine.page, mine.page + 1);
        } finally {
            entries.unlock();
        }
    }

    /// @return the outcome, or null if the pages were zapped after the request to the owner
    private @Nullable FaultResult install(
            VmaOps owner, PendingFill mine, VmaFault fault, Fill.Map map, VmaFaults mm) {
        if (!map.covers(fault)) {
            throw new IllegalStateException("fill does not fit its fault: " + fault + " " + map);
        }
        GrantedPages grant =
                new GrantedPages(map.firstPage() - objectPage, map.pfns(), map.prot().and(prot));
        if (fault.reason() == VmaFault.Reason.UPGRADE && !zapNarrower(mine, grant, mm)) {
            return null;
        }
        entries.lock();
        try {
            if (removed || mine.takeZappedLocked(grant.firstPage(), grant.endPage())) {
                return null;
            }
            installLocked(owner, mine.page, grant);
            return new FaultResult.Mapped(table.getAcquire(mine.page));
        } catch (MdevException e) {
            return new FaultResult.Failed(Refusal.of(e));
        } finally {
            entries.unlock();
        }
    }

    /// Makes room for the neighbours of a page that gets more rights: those that the grant covers,
    /// that are mapped to the page it names, and with fewer rights than it has.
    ///
    /// @return false if pages of the grant were zapped after the request to the owner, by another
    ///   thread
    private boolean zapNarrower(PendingFill mine, GrantedPages grant, VmaFaults mm) {
        List<HvaRange> narrower;
        int zaps;
        entries.lock();
        try {
            if (mine.isZappedLocked(grant.firstPage(), grant.endPage())) {
                return false;
            }
            narrower = grant.narrowerIn(table, range.startHva());
            zaps = mine.zapsLocked();
        } finally {
            entries.unlock();
        }
        narrower.forEach(mm::zap);
        entries.lock();
        try {
            // Ours, and no other: one that came in between must not be forgotten with them.
            if (mine.zapsLocked() != zaps + narrower.size()) {
                return false;
            }
            var _ = mine.takeZappedLocked(grant.firstPage(), grant.endPage());
            return true;
        } finally {
            entries.unlock();
        }
    }

    /// Maps the pages of a grant that have no entry. Pages with an entry keep it: the owner granted
    /// them before, and only a zap removes that.
    ///
    /// Mapping ahead never fails an access: the accessed page comes first, alone if necessary, and
    /// pages that the engine cannot hold now are mapped at their first access.
    ///
    /// @throws MdevException if the engine cannot hold the accessed page
    @GuardedBy("entries")
    private void installLocked(VmaOps owner, long touched, GrantedPages grant) {
        if (HostPte.isPresent(table.getAcquire(touched))
                || tryInstallRunLocked(owner, touched, grant)) {
            var _ = tryInstallAbsentLocked(owner, grant);
        } else {
            installPagesLocked(owner, touched, touched + 1, grant);
        }
    }

    /// Maps a page without an entry, together with its neighbours without one.
    ///
    /// @return false if the engine cannot hold them all; then nothing is mapped
    @GuardedBy("entries")
    private boolean tryInstallRunLocked(VmaOps owner, long page, GrantedPages grant) {
        long first = page;
        while (first > grant.firstPage() && !HostPte.isPresent(table.getAcquire(first - 1))) {
            first--;
        }
        return tryInstallPagesLocked(owner, first, endOfAbsent(page, grant.endPage()), grant);
    }

    /// Maps the pages without an entry, run by run, until the engine cannot hold another.
    ///
    /// @return whether it could hold them all
    @GuardedBy("entries")
    private boolean tryInstallAbsentLocked(VmaOps owner, GrantedPages grant) {
        long page = grant.firstPage();
        while (page < grant.endPage()) {
            long end = endOfAbsent(page, grant.endPage());
            if (end > page && !tryInstallPagesLocked(owner, page, end, grant)) {
                return false;
            }
            page = end + 1;
        }
        return true;
    }

    /// The first page in `[page, end)` that has an entry, or `end`.
    private long endOfAbsent(long page, long end) {
        long at = page;
        while (at < end && !HostPte.isPresent(table.getAcquire(at))) {
            at++;
        }
        return at;
    }

    @GuardedBy("entries")
    private boolean tryInstallPagesLocked(VmaOps owner, long first, long end, GrantedPages grant) {
        try {
            installPagesLocked(owner, first, end, grant);
            return true;
        } catch (MdevException _) {
            return false;
        }
    }

    @GuardedBy("entries")
    private void installPagesLocked(VmaOps owner, long first, long end, GrantedPages grant) {
        PfnRange pfns = grant.pfnsAt(first, end - first);
        pageTable.map(hvaOf(first), pfns, grant.prot());
        for (long page = first; page < end; page++) {
            table.setReleaseLocked(
                    page, HostPte.of(pfns.firstPfn() + (page - first), grant.prot()));
        }
        owner.installed(objectPage + first, pfns.npages());
    }

    /// Removes the entries in `part`, which lies in the range. Part of [HostMm#zap], which calls
    /// the notifiers before and after.
    void zapEntries(HvaRange part) {
        VmaOps owner = ops;
        if (owner == null) {
            return;
        }
        long first = Page.numberOf(part.startHva() - range.startHva());
        long end = first + part.npages();
        entries.lock();
        try {
            for (PendingFill fill : pending) {
                fill.zappedLocked(first, end);
            }
            zapRunsLocked(owner, first, end);
        } finally {
            entries.unlock();
        }
    }

    /// Passes runs of neighbours to the engine rather than pages or the whole part: a run costs one
    /// call, and an empty part costs none.
    @GuardedBy("entries")
    private void zapRunsLocked(VmaOps owner, long first, long end) {
        long page = table.skipAbsent(first, end);
        while (page < end) {
            if (!HostPte.isPresent(table.getAcquire(page))) {
                page = table.skipAbsent(page + 1, end);
                continue;
            }
            long runEnd = page;
            while (runEnd < end && HostPte.isPresent(table.getAcquire(runEnd))) {
                runEnd++;
            }
            // First: if the engine fails, the pages still have entries, and the caller can retry.
            pageTable.zap(HvaRange.ofPages(hvaOf(page), runEnd - page));
            for (; page < runEnd; page++) {
                table.setReleaseLocked(page, HostPte.NONE);
                owner.removed(objectPage + page);
            }
            page = table.skipAbsent(runEnd, end);
        }
    }

    /// From here on no entry is installed, and an eager vma has none.
    void markRemoved() {
        entries.lock();
        try {
            removed = true;
        } finally {
            entries.unlock();
        }
    }

    private long hvaOf(long page) {
        return range.startHva() + Page.addressOf(page);
    }

    @Override
    public String toString() {
        return "vma" + range + " " + prot + (ops == null ? " eager" : " lazy");
    }
}
