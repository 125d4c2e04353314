package dev.mdev.core.engine.kvm.mm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.kvm.mm.Backdrop.FileExtent;
import dev.mdev.core.engine.kvm.mm.VmaMap.Target;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostPageTable;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;

/// The page table of this process, which the kernel keeps: `mmap` makes and removes a mapping, and
/// the kernel's MMU notifiers remove it from the guests' tables at the same time.
///
/// Every lazy range has a userfaultfd and a fault loop of its own: a shared one would be a lock
/// between all virtual processors.
///
/// Locks: each range has one, a leaf, taken under the entries lock of a vma, and never two of them.
public final class MmapPageTable implements HostPageTable, AutoCloseable {
    /// Above every address, so that the backdrop of an address is at the same offset.
    private static final long NOTHING_BYTES = 1L << 47;

    private static final long ALIGN_BYTES = 2L << 20;

    /// Pages of the largest range: the limit of a slot, and of [ContinuedPages].
    private static final long MAX_PAGES = Integer.MAX_VALUE;

    private final Syscalls sys;
    private final HostMemory memory;
    private final VmaBudget budget;
    private final KvmCounters counters;
    private final FaultedVcpus vcpus;
    private final Duration patience;

    /// A file that is never written, behind all pages without a grant.
    private final NativeFd nothing;

    private final ConcurrentSkipListMap<Long, Entry> ranges = new ConcurrentSkipListMap<>();
    private volatile FaultHandler handler =
            (hva, _) -> {
                throw new IllegalStateException("no fault handler: hva=0x%x".formatted(hva));
            };

    /// @param loop null if the range is mapped at once
    private record Entry(MappedRange mapped, @Nullable UffdFaultLoop loop) {}

    /// Decides how a fault ends.
    @FunctionalInterface
    public interface FaultHandler {
        FaultResult handleFault(long hva, Access access);
    }

    /// What the page tables of one engine share.
    ///
    /// @param patience how long the release of a range waits for its owner's answer to a fault
    public record Shared(Syscalls sys, VmaBudget budget, Duration patience) {}

    public MmapPageTable(
            Shared shared, HostMemory memory, FaultedVcpus vcpus, KvmCounters counters) {
        this.sys = shared.sys;
        this.budget = shared.budget;
        this.patience = shared.patience;
        this.memory = memory;
        this.vcpus = vcpus;
        this.counters = counters;
        this.nothing = sys.memfd("nothing", NOTHING_BYTES);
    }

    /// Sets the handler of faults; before the first range is reserved.
    public void connect(FaultHandler newHandler) {
        handler = newHandler;
    }

    /// @throws MdevException also ENOMEM for more than [#MAX_PAGES]
    @Override
    public HvaRange reserve(long npages, Kind kind) {
        if (npages > MAX_PAGES) {
            throw new MdevException(
                    Errno.ENOMEM, "npages=%d limit=%d".formatted(npages, MAX_PAGES));
        }
        HvaRange range = reserveAddresses(Page.bytesOf(npages));
        try {
            ranges.put(range.startHva(), open(range, kind));
            return range;
        } catch (RuntimeException | Error e) {
            sys.munmap(range.startHva(), range.lengthBytes());
            throw e;
        }
    }

    private Entry open(HvaRange range, Kind kind) {
        Target backdrop =
                new Target(
                        nothing.number(),
                        range.startHva(),
                        LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE);
        return switch (kind) {
            case EAGER -> new Entry(new MappedRange(sys, range, backdrop, null, budget), null);
            case LAZY -> openLazy(range, backdrop);
        };
    }

    private Entry openLazy(HvaRange range, Target backdrop) {
        Userfaultfd uffd = Userfaultfd.open(sys);
        try {
            MappedRange mapped = new MappedRange(sys, range, backdrop, uffd, budget);
            try {
                mapped.open();
                return new Entry(
                        mapped, UffdFaultLoop.start(sys, uffd, new RangeAnswers(mapped), counters));
            } catch (RuntimeException | Error e) {
                mapped.shut();
                throw e;
            }
        } catch (RuntimeException | Error e) {
            uffd.close();
            throw e;
        }
    }

    /// Addresses at which large pages can map a guest-physical address of the same alignment.
    private HvaRange reserveAddresses(long lengthBytes) {
        long spare = lengthBytes < ALIGN_BYTES ? 0 : ALIGN_BYTES;
        long hva =
                sys.mmap(
                        new Syscalls.Placement(
                                0,
                                lengthBytes + spare,
                                LinuxAbi.PROT_NONE,
                                LinuxAbi.MAP_PRIVATE | LinuxAbi.MAP_NORESERVE));
        long start = spare == 0 ? hva : (hva + ALIGN_BYTES - 1) & -ALIGN_BYTES;
        if (start > hva) {
            sys.munmap(hva, start - hva);
        }
        long rest = hva + lengthBytes + spare - (start + lengthBytes);
        if (rest > 0) {
            sys.munmap(start + lengthBytes, rest);
        }
        return new HvaRange(start, lengthBytes);
    }

    @Override
    public void release(HvaRange range) {
        Entry entry = ranges.remove(range.startHva());
        if (entry == null) {
            throw new MdevException(Errno.EINVAL, "not a reserved range: " + range);
        }
        // First the pages must be gone, then the waiting threads, and only then may the loop end
        // and close its userfaultfd.
        entry.mapped.shut();
        if (entry.loop != null) {
            entry.loop.stop(patience);
        }
        sys.munmap(range.startHva(), range.lengthBytes());
    }

    @Override
    public void map(long hva, PfnRange pfns, Prot prot) {
        HostMemory.Block block = memory.blockOf(pfns.firstPfn());
        int file = block.backing().fd();
        if (file < 0) {
            throw new MdevException(
                    Errno.EOPNOTSUPP, "cannot map memory without a file: block=" + block);
        }
        if (!block.pfns().contains(pfns)) {
            throw new MdevException(Errno.EFAULT, "%s leave block=%s".formatted(pfns, block));
        }
        long fileOffset = block.backing().fileOffsetBytes();
        counters.evicted(budget.makeRoom());
        rangeAt(hva)
                .map(
                        HvaRange.ofPages(hva, pfns.npages()),
                        new Target(
                                file,
                                fileOffset + block.offsetOf(pfns.firstPfn()),
                                KernelRange.protOf(prot)),
                        new FileExtent(fileOffset, Page.bytesOf(block.pfns().npages())));
    }

    @Override
    public void zap(HvaRange range) {
        rangeAt(range.startHva()).zap(range);
    }

    /// Maps a granted page again that the kernel had no room for.
    ///
    /// @throws MdevException ENOMEM if there is still no room
    public void restore(long hva) {
        Map.Entry<Long, Entry> entry = ranges.floorEntry(hva);
        if (entry != null && entry.getValue().mapped.range().contains(hva)) {
            restoreIn(entry.getValue().mapped, hva);
        }
    }

    private void restoreIn(MappedRange mapped, long hva) {
        if (mapped.isEvicted(hva)) {
            counters.evicted(budget.makeRoom());
            mapped.restore(hva);
        }
    }

    /// Makes a page usable again that was poisoned for another thread.
    ///
    /// @return false if the page is broken for another reason
    public boolean unpoison(long hva) {
        Map.Entry<Long, Entry> entry = ranges.floorEntry(hva);
        return entry != null
                && entry.getValue().mapped.range().contains(hva)
                && entry.getValue().mapped.unpoison(hva);
    }

    public MappedRange rangeAt(long hva) {
        Map.Entry<Long, Entry> entry = ranges.floorEntry(hva);
        if (entry == null || !entry.getValue().mapped.range().contains(hva)) {
            throw new MdevException(Errno.EFAULT, "not reserved: hva=0x%x".formatted(hva));
        }
        return entry.getValue().mapped;
    }

    /// The callbacks of the fault loop of one range.
    private final class RangeAnswers implements UffdFaultLoop.Answers {
        private final MappedRange mapped;

        RangeAnswers(MappedRange mapped) {
            this.mapped = mapped;
        }

        @Override
        public FaultResult handleFault(long hva, Access access) {
            FaultResult result = handler.handleFault(hva, access);
            if (result instanceof FaultResult.Mapped) {
                try {
                    restoreIn(mapped, hva);
                } catch (MdevException e) {
                    return new FaultResult.Failed(Refusal.of(e));
                }
            }
            return result;
        }

        @Override
        public boolean refuse(int tid, long hva, FaultResult result) {
            return vcpus.refuse(tid, hva, result);
        }

        @Override
        public void poison(HvaRange page) {
            mapped.poison(page);
        }
    }

    /// The file that is never written.
    public NativeFd nothing() {
        return nothing;
    }

    @Override
    public void close() {
        nothing.close();
    }
}
