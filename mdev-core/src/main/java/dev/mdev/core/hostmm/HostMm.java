package dev.mdev.core.hostmm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.sync.Srcu;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/// A host address space (Linux `mm_struct`): what is reserved, what is mapped, and the fault
/// between the two.
///
/// All methods may be called by any thread.
public final class HostMm implements AutoCloseable {
    private final HostPageTable pageTable;
    private final HostMemory memory;
    private final long fillTimeoutNanos;

    private final ReentrantLock structure = new ReentrantLock();

    /// Replaced under `structure`, read without it.
    private volatile VmaSet vmas = VmaSet.EMPTY;

    @GuardedBy("structure")
    private boolean closed;

    private final CopyOnWriteArrayList<MmuNotifier> notifiers = new CopyOnWriteArrayList<>();

    /// Read sections are the host's own copies: between the look at an entry and the end of the
    /// copy. They never block, and a zap waits for them.
    private final Srcu copies = new Srcu();

    private final Vma.Faults faults =
            new Vma.Faults() {
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
    /// @param memory what the physical page numbers mean
    /// @param fillTimeout the longest one fault waits for another on the same page, and the longest
    ///   it is tried anew because its answers are revoked before they are installed
    public HostMm(HostPageTable pageTable, HostMemory memory, Duration fillTimeout) {
        this.pageTable = pageTable;
        this.memory = memory;
        this.fillTimeoutNanos = fillTimeout.toNanos();
    }

    /// The longest that one fault waits for another on the same page, and that an access is tried
    /// anew because what answers it is revoked each time; nanoseconds.
    public long fillTimeoutNanos() {
        return fillTimeoutNanos;
    }

    /// What the physical page numbers mean.
    public HostMemory memory() {
        return memory;
    }

    public void addNotifier(MmuNotifier notifier) {
        notifiers.add(notifier);
    }

    /// Reserves a lazy range: nothing is mapped, and each first access asks `ops`.
    ///
    /// @param npages its size
    /// @param prot the most rights any mapping in it may have
    /// @param objectPage the page of the owner's object that the first page shows
    /// @throws MdevException ENOMEM if there is no room
    public Vma reserve(long npages, Prot prot, long objectPage, VmaOps ops) {
        return insert(
                npages,
                HostPageTable.Kind.LAZY,
                range -> Vma.lazy(range, prot, pageTable, objectPage, ops));
    }

    /// Reserves a range and maps `pfns` there at once, for good.
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

    /// Takes a range away, with its mappings. When it returns, nobody uses them.
    ///
    /// The range can be found until its mappings are gone, so that a [#zap] at the same time waits
    /// for that too; if the engine cannot take them away, the removal may be tried again.
    public void remove(Vma vma) {
        if (vmas.find(vma.range().startHva()) != vma) {
            return;
        }
        vma.markRemoved();
        invalidate(vma.range(), List.of(vma));
        structure.lock();
        try {
            if (vmas.find(vma.range().startHva()) != vma) {
                // Somebody else was faster, and gives the addresses back.
                return;
            }
            vmas = vmas.without(vma);
        } finally {
            structure.unlock();
        }
        pageTable.release(vma.range());
    }

    /// The entrance: makes the page at `hva` accessible, or says why not. Whoever the guest is,
    /// each first access ends here.
    ///
    /// Blocks while the owner of the range decides. Must not be called with a lock held.
    ///
    /// @return the outcome; after [FaultResult.Mapped] the caller tries its access again
    public FaultResult handleFault(long hva, Access access) {
        return handleFault(hva, access, false);
    }

    /// Maps all of a range that has no entry yet, for writing, as far as its owner lets (Linux
    /// `populate_vma_page_range`): what it refuses faults when it is touched. Blocks while the
    /// owner decides.
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
        do {
            Vma vma = vmas.find(hva);
            if (vma == null) {
                return noMapping(hva);
            }
            if (!vma.prot().allows(access)) {
                return new FaultResult.Failed(
                        Errno.EACCES,
                        "%s is not allowed at hva=0x%x prot=%s".formatted(access, hva, vma.prot()));
            }
            FaultResult result = vma.fault(hva, access, populating, faults);
            if (result != null) {
                return result;
            }
        } while (System.nanoTime() - start < fillTimeoutNanos);
        return overtaken(hva);
    }

    static FaultResult noMapping(long hva) {
        return new FaultResult.Failed(Errno.EFAULT, "no mapping at hva=0x%x".formatted(hva));
    }

    /// Each answer was revoked before it could be installed, for as long as a fault may take: a
    /// driver that revokes what it grants, each time, must not hang its guest.
    private static FaultResult overtaken(long hva) {
        return new FaultResult.Failed(
                Errno.EAGAIN,
                "revoked again and again while being filled: hva=0x%x".formatted(hva));
    }

    /// Removes what is mapped in `range`, which stays reserved: the next access faults. When it
    /// returns, no access that began before uses the old pages.
    ///
    /// Must not be called from a [MmuNotifier].
    public void zap(HvaRange range) {
        List<Vma> hit = vmas.overlapping(range);
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
    /// and the entry may be gone when it is looked at.
    public long lookup(long hva) {
        Vma vma = vmas.find(hva);
        return vma == null ? HostPte.NONE : vma.lookup(hva);
    }

    /// How large a piece around `hva` is mapped to neighbouring physical pages with equal rights
    /// and equal alignment: 3 for 1 GiB, 2 for 2 MiB, 1 for less (Linux `host_pfn_mapping_level`).
    /// Takes no lock; whoever maps by it must notice if the entries change meanwhile.
    public int mappingLevel(long hva) {
        Vma vma = vmas.find(hva);
        return vma == null ? 1 : vma.mappingLevel(hva);
    }

    /// Copies from host virtual memory, faulting pages in as needed. The copy goes through the
    /// host's own mapping of the physical pages, never through `hva` itself.
    ///
    /// @return null, or why the copy stopped; what was copied before that stays copied
    public @Nullable FaultResult copyFrom(long hva, MemorySegment destination) {
        return eachPage(
                hva,
                destination,
                Access.READ,
                (memory, offset, part) ->
                        MemorySegment.copy(memory, offset, part, 0, part.byteSize()));
    }

    /// Copies to host virtual memory; otherwise as [#copyFrom].
    public @Nullable FaultResult copyTo(long hva, MemorySegment source) {
        return eachPage(
                hva,
                source,
                Access.WRITE,
                (memory, offset, part) ->
                        MemorySegment.copy(part, 0, memory, offset, part.byteSize()));
    }

    private @Nullable FaultResult eachPage(
            long hva, MemorySegment buffer, Access access, PartAction action) {
        long done = 0;
        while (done < buffer.byteSize()) {
            long at = hva + done;
            long length = Math.min(buffer.byteSize() - done, Page.SIZE - Page.offsetOf(at));
            MemorySegment part = buffer.asSlice(done, length);
            FaultResult stop =
                    withPage(
                            at, access, true, (memory, offset) -> action.run(memory, offset, part));
            if (stop != null) {
                return stop;
            }
            done += length;
        }
        return null;
    }

    /// Runs `action` on the memory behind `hva`, while no zap can take it away: a zap that begins
    /// meanwhile waits. The action must be short, stay in the page, and take no lock.
    ///
    /// @param mayFault whether a page that is not mapped is faulted in
    /// @return null if the action ran, else why not: EFAULT for an unmapped page that may not fault
    public @Nullable FaultResult withPage(
            long hva, Access access, boolean mayFault, PageAction action) {
        long start = System.nanoTime();
        do {
            int section = copies.readLock();
            try {
                long pte = lookup(hva);
                if (HostPte.isPresent(pte) && HostPte.prot(pte).allows(access)) {
                    HostMemory.Block block = memory.blockOf(HostPte.pfn(pte));
                    action.run(
                            block.segment(), block.offsetOf(HostPte.pfn(pte)) + Page.offsetOf(hva));
                    return null;
                }
            } finally {
                copies.readUnlock(section);
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

    /// What [#withPage] runs.
    @FunctionalInterface
    public interface PageAction {
        /// @param memory a block of host memory
        /// @param offsetBytes where the address is in it
        void run(MemorySegment memory, long offsetBytes);
    }

    @FunctionalInterface
    private interface PartAction {
        void run(MemorySegment memory, long offsetBytes, MemorySegment part);
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
        for (Vma vma : vmas.all()) {
            remove(vma);
        }
    }
}
