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
import dev.mdev.core.range.RangeMap;
import dev.mdev.core.sync.Srcu;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/// A host address space (Linux `mm_struct`): reserved ranges, mapped pages, and the fault that
/// leads from one to the other.
///
/// Any thread may call all methods.
public final class HostMm implements AutoCloseable {
    private final HostPageTable pageTable;
    private final HostMemory memory;
    private final long fillTimeoutNanos;

    private final ReentrantLock structure = new ReentrantLock();

    /// Replaced under `structure`, read without it.
    private volatile RangeMap<Vma> vmas =
            RangeMap.of(List.of(), vma -> vma.range().startHva(), vma -> vma.range().endHva());

    @GuardedBy("structure")
    private boolean closed;

    private final CopyOnWriteArrayList<MmuNotifier> notifiers = new CopyOnWriteArrayList<>();

    /// Read sections are the host's own copies: from the lookup of an entry to the end of the copy.
    /// They never block, and a zap waits for them.
    private final Srcu copies = new Srcu();

    private final VmaFaults faults =
            new VmaFaults() {
                @Override
                public void zap(HvaRange range) {
                    HostMm.this.zap(range);
                }

                @Override
                public long fillTimeoutNanos() {
                    return fillTimeoutNanos;
                }
            };

    /// @param pageTable the engine's exit
    /// @param memory the meaning of the physical page numbers
    /// @param fillTimeout the maximum time that a fault waits for another on the same page, and
    ///   that it retries because its answers are revoked before they are installed
    public HostMm(HostPageTable pageTable, HostMemory memory, Duration fillTimeout) {
        this.pageTable = pageTable;
        this.memory = memory;
        this.fillTimeoutNanos = fillTimeout.toNanos();
    }

    /// The maximum time that a fault waits for another on the same page, and that an access retries
    /// because each answer is revoked; nanoseconds.
    public long fillTimeoutNanos() {
        return fillTimeoutNanos;
    }

    /// The meaning of the physical page numbers.
    public HostMemory memory() {
        return memory;
    }

    public void addNotifier(MmuNotifier notifier) {
        notifiers.add(notifier);
    }

    /// Reserves a lazy range: nothing is mapped, and each first access asks `ops`.
    ///
    /// @param npages its size
    /// @param prot the maximum rights of a mapping in it
    /// @param objectPage the page of the owner's object that the first page shows
    /// @throws MdevException ENOMEM if there is no room
    public Vma reserve(long npages, Prot prot, long objectPage, VmaOps ops) {
        return insert(
                npages,
                HostPageTable.Kind.LAZY,
                range -> Vma.lazy(range, prot, pageTable, objectPage, ops));
    }

    /// Reserves a range and maps `pfns` there at once and permanently.
    ///
    /// @throws MdevException ENOMEM if there is no room
    public Vma mapEagerly(PfnRange pfns, Prot prot) {
        return insert(
                pfns.npages(),
                HostPageTable.Kind.EAGER,
                range -> {
                    pageTable.map(range.startHva(), pfns, prot);
                    return Vma.eager(range, prot, pageTable, pfns);
                });
    }

    private Vma insert(long npages, HostPageTable.Kind kind, Function<HvaRange, Vma> make) {
        structure.lock();
        try {
            if (closed) {
                throw new MdevException(Errno.ESRCH, "the address space is closed");
            }
            HvaRange range = pageTable.reserve(npages, kind);
            try {
                Vma vma = make.apply(range);
                vmas = vmas.with(vma);
                return vma;
            } catch (RuntimeException | Error e) {
                pageTable.release(range);
                throw e;
            }
        } finally {
            structure.unlock();
        }
    }

    /// Removes a range with its mappings. When it returns, all uses of them have ended.
    ///
    /// The range can be found until its mappings are gone, so that a concurrent [#zap] also waits
    /// for that; if the engine fails to remove them, the caller may retry the removal.
    public void remove(Vma vma) {
        if (vmas.find(vma.range().startHva()) != vma) {
            return;
        }
        vma.markRemoved();
        invalidate(vma.range(), List.of(vma));
        structure.lock();
        try {
            if (vmas.find(vma.range().startHva()) != vma) {
                // Another thread was faster, and releases the addresses.
                return;
            }
            vmas = vmas.without(vma);
        } finally {
            structure.unlock();
        }
        pageTable.release(vma.range());
    }

    /// The entrance: makes the page at `hva` accessible, or says why not. Every first access of
    /// every guest ends here.
    ///
    /// Blocks while the owner of the range decides. Must not be called with a lock held.
    ///
    /// @return the outcome; after [FaultResult.Mapped] the caller retries its access
    public FaultResult handleFault(long hva, Access access) {
        return handleFault(hva, access, false);
    }

    /// Maps all absent pages of a range for writing, as far as its owner allows (Linux
    /// `populate_vma_page_range`): pages that it refuses fault at their first access. Blocks while
    /// the owner decides.
    public void populate(Vma vma) {
        HvaRange range = vma.range();
        for (long hva = range.startHva(); hva < range.endHva(); hva += Page.SIZE) {
            if (!HostPte.isPresent(lookup(hva))) {
                var _ = handleFault(hva, Access.WRITE, true);
            }
        }
    }

    private FaultResult handleFault(long hva, Access access, boolean populating) {
        long start = System.nanoTime();
        int answers = 0;
        do {
            Vma vma = vmas.find(hva);
            if (vma == null) {
                return noMapping(hva);
            }
            if (!vma.prot().allows(access)) {
                return new FaultResult.Failed(
                        // A page that may not be written cannot be had (Linux `hva_to_pfn`).
                        Errno.EFAULT,
                        "%s is not allowed at hva=0x%x prot=%s".formatted(access, hva, vma.prot()));
            }
            FaultResult result = vma.fault(hva, access, populating, faults);
            if (result != null) {
                return result;
            }
            answers++;
        } while (System.nanoTime() - start < fillTimeoutNanos);
        Vma last = vmas.find(hva);
        return last == null ? noMapping(hva) : last.overtaken(hva, access, answers);
    }

    static FaultResult noMapping(long hva) {
        return new FaultResult.Failed(Errno.EFAULT, "no mapping at hva=0x%x".formatted(hva));
    }

    /// Each answer was revoked before its installation, for as long as a fault may take: a driver
    /// that always revokes its own grant must not hang its guest.
    private static FaultResult overtaken(long hva) {
        return new FaultResult.Failed(
                Errno.EAGAIN, "revoked repeatedly while being filled: hva=0x%x".formatted(hva));
    }

    /// Removes the mappings in `range`, which stays reserved: the next access faults. When it
    /// returns, no earlier access uses the old pages.
    ///
    /// Must not be called from a [MmuNotifier].
    public void zap(HvaRange range) {
        List<Vma> hit = vmas.overlapping(range.startHva(), range.endHva());
        if (!hit.isEmpty()) {
            invalidate(range, hit);
        }
    }

    private void invalidate(HvaRange range, List<Vma> hit) {
        for (MmuNotifier notifier : notifiers) {
            notifier.invalidateStart(range);
        }
        try {
            for (Vma vma : hit) {
                vma.zapEntries(intersection(vma.range(), range));
            }
            copies.synchronize();
        } finally {
            for (MmuNotifier notifier : notifiers) {
                notifier.invalidateEnd(range);
            }
        }
    }

    private static HvaRange intersection(HvaRange a, HvaRange b) {
        long start = Math.max(a.startHva(), b.startHva());
        return new HvaRange(start, Math.min(a.endHva(), b.endHva()) - start);
    }

    /// The entry at `hva`, a [HostPte]; [HostPte#NONE] if nothing is mapped there. Takes no lock,
    /// and the entry may disappear before the caller reads it.
    public long lookup(long hva) {
        Vma vma = vmas.find(hva);
        return vma == null ? HostPte.NONE : vma.lookup(hva);
    }

    /// The size of the piece around `hva` that is mapped to neighbouring physical pages with equal
    /// rights and equal alignment: 3 for 1 GiB, 2 for 2 MiB, 1 for less (Linux
    /// `host_pfn_mapping_level`). Takes no lock; a caller that maps by it must detect concurrent
    /// changes of the entries.
    public int mappingLevel(long hva) {
        Vma vma = vmas.find(hva);
        return vma == null ? 1 : vma.mappingLevel(hva);
    }

    /// Copies from host virtual memory, faulting pages in as needed. The copy goes through the
    /// host's own mapping of the physical pages, never through `hva` itself.
    ///
    /// @return null, or why the copy stopped; the bytes before that stay copied
    public @Nullable FaultResult copyFrom(long hva, MemorySegment destination) {
        return eachPage(hva, destination, (at, part) -> readPage(at, true, part));
    }

    /// Copies to host virtual memory; otherwise as [#copyFrom].
    public @Nullable FaultResult copyTo(long hva, MemorySegment source) {
        return eachPage(hva, source, (at, part) -> writePage(at, true, part));
    }

    private static @Nullable FaultResult eachPage(long hva, MemorySegment buffer, PartCopy copy) {
        long done = 0;
        while (done < buffer.byteSize()) {
            long at = hva + done;
            long length = Math.min(buffer.byteSize() - done, Page.SIZE - Page.offsetOf(at));
            FaultResult stop = copy.run(at, buffer.asSlice(done, length));
            if (stop != null) {
                return stop;
            }
            done += length;
        }
        return null;
    }

    @FunctionalInterface
    private interface PartCopy {
        @Nullable FaultResult run(long hva, MemorySegment part);
    }

    /// Copies from one page, protected from zaps as [#withPage].
    ///
    /// @param mayFault whether to fault in an unmapped page
    /// @return null, or why nothing was copied: EFAULT for an unmapped page without `mayFault`, EIO
    ///   if the memory is gone
    public @Nullable FaultResult readPage(long hva, boolean mayFault, MemorySegment destination) {
        long offsetInPage = Page.offsetOf(hva);
        return onPage(
                hva,
                Access.READ,
                mayFault,
                (block, pfn) -> block.tryRead(pfn, offsetInPage, destination));
    }

    /// Copies to one page; otherwise as [#readPage].
    public @Nullable FaultResult writePage(long hva, boolean mayFault, MemorySegment source) {
        long offsetInPage = Page.offsetOf(hva);
        return onPage(
                hva,
                Access.WRITE,
                mayFault,
                (block, pfn) -> block.tryWrite(pfn, offsetInPage, source));
    }

    /// Runs `action` on the memory behind `hva`, protected from zaps: a zap that begins during the
    /// action waits. The action must be short, stay in the page, and take no lock.
    ///
    /// @param mayFault whether to fault in an unmapped page
    /// @return null if the action ran, otherwise why not: EFAULT for an unmapped page without
    ///   `mayFault`, EOPNOTSUPP for memory that may vanish
    public @Nullable FaultResult withPage(
            long hva, Access access, boolean mayFault, PageAction action) {
        long offsetInPage = Page.offsetOf(hva);
        return onPage(
                hva,
                access,
                mayFault,
                (block, pfn) -> block.tryWithPage(pfn, access, offsetInPage, action));
    }

    private @Nullable FaultResult onPage(
            long hva, Access access, boolean mayFault, BlockAction action) {
        long start = System.nanoTime();
        do {
            long pte;
            int section = copies.readLock();
            try {
                pte = lookup(hva);
                if (HostPte.isPresent(pte)
                        && HostPte.prot(pte).allows(access)
                        && action.tryRun(memory.blockOf(HostPte.pfn(pte)), HostPte.pfn(pte))) {
                    return null;
                }
            } catch (MdevException e) {
                return new FaultResult.Failed(Refusal.of(e));
            } finally {
                copies.readUnlock(section);
            }
            if (HostPte.isPresent(pte) && HostPte.prot(pte).allows(access)) {
                // A zap, or another access, is at the page, and may wait for this section.
                memory.blockOf(HostPte.pfn(pte)).settle(HostPte.pfn(pte));
                continue;
            }
            if (!mayFault) {
                return new FaultResult.Failed(
                        Errno.EFAULT, "not resident: hva=0x%x".formatted(hva));
            }
            FaultResult result = handleFault(hva, access);
            if (!(result instanceof FaultResult.Mapped)) {
                return result;
            }
        } while (System.nanoTime() - start < fillTimeoutNanos);
        return overtaken(hva);
    }

    @FunctionalInterface
    private interface BlockAction {
        /// @return false if the page is on its way to or from its home
        boolean tryRun(HostMemory.Block block, long pfn);
    }

    /// The action of [#withPage].
    @FunctionalInterface
    public interface PageAction {
        /// @param memory a block of host memory
        /// @param offsetBytes offset of the address in it
        void run(MemorySegment memory, long offsetBytes);
    }

    /// Closes the address space: removes every range.
    @Override
    public void close() {
        structure.lock();
        try {
            closed = true;
        } finally {
            structure.unlock();
        }
        for (Vma vma : vmas.values()) {
            remove(vma);
        }
    }
}
