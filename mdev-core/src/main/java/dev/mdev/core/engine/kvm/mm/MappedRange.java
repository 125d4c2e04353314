package dev.mdev.core.engine.kvm.mm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.kvm.mm.VmaMap.Part;
import dev.mdev.core.engine.kvm.mm.VmaMap.Target;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/// One reserved range of addresses and the kernel's mappings in it.
///
/// Without a grant, the kernel has the *backdrop*: a mapping that is registered with the range's
/// userfaultfd and has no present page, so that every access is an event. It shows a file that is
/// never written, or, once the owner has granted pages linearly to their addresses, the granted
/// block itself (`tryAdoptLocked`). Granted pages are mapped over it, with one kernel mapping per
/// run; pages linear to a backdrop of their own block need no mapping, and `UFFDIO_CONTINUE` enters
/// them.
///
/// ## No access is lost
///
/// A mapping appears and disappears by one `mmap` with `MAP_FIXED`, which the kernel does as one
/// step for concurrent faults: an address always has something behind it. Restoring the backdrop
/// takes three calls, because a mapping can be registered only once it exists:
///
/// ```
/// mmap(PROT_NONE)       the old pages are gone, from guests' tables too; a touch is EFAULT
/// UFFDIO_REGISTER       still EFAULT
/// mprotect(READ|WRITE)  a touch is an event
/// ```
///
/// In any other order, an access in between would find a page of zeroes, and a store to it would be
/// lost. On EFAULT the virtual processor asks the owner itself, which waits for the zap to end, and
/// retries. If registering fails, the range stays at EFAULT, and still works.
///
/// ## A zap does not fail
///
/// Removing a page from the middle of a run makes two mappings of one. When the kernel has no room
/// for another, the range gives up the neighbours as well: they go to `evicted`, and return at
/// their next access ([#restore]). So do pages whose mappings another user needs ([#evictSome]):
/// the grants may exceed the kernel's mappings.
public final class MappedRange implements VmaBudget.User {
    /// In our records: this looks like the backdrop, but is a mapping without faults.
    private static final int NOT_REGISTERED = 1 << 16;

    private static final int MIN_EVICTED = 8;
    private static final int READ_WRITE = LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE;

    private final Syscalls sys;
    private final HvaRange range;
    private final @Nullable Userfaultfd uffd;
    private final VmaBudget budget;

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final VmaMap vmas;

    /// The number of pieces of `vmas`. Changed under the lock; read without it by a thread that
    /// looks for mappings to evict in all ranges.
    private volatile int vmaCount = 1;

    /// The kernel's mapping at the start of the range without a grant.
    @GuardedBy("lock")
    private Target backdrop;

    /// Whether nothing was mapped yet.
    @GuardedBy("lock")
    private boolean untouched = true;

    /// Whether the backdrop is the block of the grants. Its pages exist in the file, so they are
    /// never absent: it must also be registered for minor faults.
    @GuardedBy("lock")
    private boolean adopted;

    /// Whether all of an adopted backdrop is registered, so that `UFFDIO_CONTINUE` works.
    @GuardedBy("lock")
    private boolean continuing;

    @GuardedBy("lock")
    private final ContinuedPages continued;

    /// Used under the lock, except [EvictedPages#everHadAny].
    private final EvictedPages evicted;

    @GuardedBy("lock")
    private boolean shut;

    /// The start of the next eviction.
    @GuardedBy("lock")
    private long evictFrom;

    /// Pages that we made unusable ([#poison]), by address.
    @GuardedBy("lock")
    private final Set<Long> poisoned = new HashSet<>();

    /// Sets up a range whose addresses are already reserved.
    ///
    /// @param backdrop a file without content, shown linearly to the addresses
    /// @param uffd for a lazy range; null for a range that is mapped at once
    MappedRange(
            Syscalls sys,
            HvaRange range,
            Target backdrop,
            @Nullable Userfaultfd uffd,
            VmaBudget budget) {
        this.sys = sys;
        this.range = range;
        this.backdrop = backdrop;
        this.uffd = uffd;
        this.budget = budget;
        this.evictFrom = range.startHva();
        this.vmas = new VmaMap(range, backdrop);
        this.continued = new ContinuedPages(sys, range);
        this.evicted = new EvictedPages(range);
        budget.take(1);
    }

    HvaRange range() {
        return range;
    }

    /// Shows the backdrop for the first time.
    ///
    /// @throws MdevException if it cannot be registered
    void open() {
        lock.lock();
        try {
            int errno = showBackdropLocked(range);
            if (errno != 0) {
                throw Syscalls.failure(errno, "UFFDIO_REGISTER " + range);
            }
            budget.addUser(this);
        } finally {
            lock.unlock();
        }
    }

    /// Maps pages of a file.
    ///
    /// @param part the addresses; the backdrop is there now
    /// @param block the part of the file that belongs to the pages' block
    void map(HvaRange part, Target target, FileExtent block) {
        lock.lock();
        try {
            if (shut) {
                throw new MdevException(Errno.EFAULT, "shut: " + part);
            }
            if (poisoned.stream().anyMatch(part::contains)) {
                clearLocked(part);
            }
            if (untouched) {
                untouched = false;
                var _ = uffd != null && tryAdoptLocked(part, target, block);
            }
            if (isParallelLocked(part, target)) {
                continueLocked(part, target);
            } else {
                mapOverLocked(part, target);
            }
        } finally {
            lock.unlock();
        }
    }

    /// A part of a file.
    ///
    /// @param offsetBytes its start
    record FileExtent(long offsetBytes, long lengthBytes) {}

    /// Makes the first grant's block the backdrop, if the whole range fits into it linearly. From
    /// then on `UFFDIO_CONTINUE` enters its pages, without a kernel mapping for each run. The
    /// backdrop then shows pages that are not granted. This is safe as long as it is registered,
    /// and it is registered from before its first access until after its removal.
    @GuardedBy("lock")
    private boolean tryAdoptLocked(HvaRange part, Target target, FileExtent block) {
        long start = target.offsetBytes() - (part.startHva() - range.startHva());
        if (target.prot() != READ_WRITE
                || start < block.offsetBytes
                || start + range.lengthBytes() > block.offsetBytes + block.lengthBytes) {
            return false;
        }
        Target former = backdrop;
        backdrop = new Target(target.file(), start, READ_WRITE);
        adopted = true;
        continuing = true;
        boolean shown = false;
        try {
            shown = showBackdropLocked(range) == 0;
            return shown;
        } finally {
            if (!shown) {
                // Memory without support for registered faults, such as a BAR of a PCI function.
                adopted = false;
                continuing = false;
                backdrop = former;
                var _ = showBackdropLocked(range);
            }
        }
    }

    @GuardedBy("lock")
    private boolean isParallelLocked(HvaRange part, Target target) {
        return continuing && backdropAtLocked(part.startHva()).equals(target);
    }

    @GuardedBy("lock")
    private Target backdropAtLocked(long hva) {
        return backdrop.plus(hva - range.startHva());
    }

    @GuardedBy("lock")
    private void continueLocked(HvaRange part, Target target) {
        try {
            continued.enter(uffd(), part, target);
        } catch (MdevException e) {
            zapLocked(part);
            throw e;
        }
    }

    @GuardedBy("lock")
    private void mapOverLocked(HvaRange part, Target target) {
        // In the worst case, one more mapping cuts another in two.
        budget.take(2);
        int errno = tryMmap(part, target, target.prot() & ~NOT_REGISTERED);
        if (errno != 0) {
            budget.add(-2);
            throw Syscalls.failure(errno, "mmap " + part);
        }
        // Equal to the backdrop, but unregistered: the kernel does not merge the two.
        boolean parallel = backdropAtLocked(part.startHva()).equals(target);
        Target noted = parallel ? target.withProt(target.prot() | NOT_REGISTERED) : target;
        continued.remove(part);
        budget.add(noteMappedLocked(part, noted) - 2);
    }

    /// @return the increase in the number of mappings
    @GuardedBy("lock")
    private int noteMappedLocked(HvaRange part, Target target) {
        int more = vmas.set(part, target);
        vmaCount = vmas.count();
        return more;
    }

    /// Removes the mappings in a part of the range.
    void zap(HvaRange part) {
        lock.lock();
        try {
            if (!shut) {
                zapLocked(part);
            }
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void zapLocked(HvaRange part) {
        if (continuing && poisoned.isEmpty() && showsOnlyBackdropLocked(part)) {
            sys.madvise(part.startHva(), part.lengthBytes(), LinuxAbi.MADV_DONTNEED);
            continued.remove(part);
        } else {
            clearLocked(part);
        }
        // Last: if the kernel refuses, the records must still have the remaining mappings.
        evicted.remove(part);
    }

    @GuardedBy("lock")
    private void clearLocked(HvaRange part) {
        if (showBackdropLocked(part) != 0) {
            // An unregistered backdrop must not be reached by a linear mapping.
            continuing = false;
        }
    }

    @GuardedBy("lock")
    private boolean showsOnlyBackdropLocked(HvaRange part) {
        for (Part piece : vmas.partsOf(part)) {
            if (!piece.target().equals(backdropAtLocked(piece.range().startHva()))) {
                return false;
            }
        }
        return true;
    }

    /// Puts the backdrop over all mappings in a part of the range.
    ///
    /// @return 0, or why it could not be registered; accesses are EFAULT then
    @GuardedBy("lock")
    private int showBackdropLocked(HvaRange part) {
        HvaRange shown = part;
        Target target = backdropAtLocked(shown.startHva());
        int errno = tryMmap(shown, target, LinuxAbi.PROT_NONE);
        if (errno == Errno.ENOMEM.code()) {
            shown = vmas.widened(part);
            noteEvictedLocked(shown);
            target = backdropAtLocked(shown.startHva());
            errno = tryMmap(shown, target, LinuxAbi.PROT_NONE);
        }
        if (errno != 0) {
            throw Syscalls.failure(errno, "mmap " + shown);
        }
        poisoned.removeIf(shown::contains);
        continued.remove(shown);
        errno = uffd == null ? 0 : openBackdropLocked(shown);
        Target noted = errno == 0 ? target : target.withProt(LinuxAbi.PROT_NONE);
        budget.add(noteMappedLocked(shown, noted));
        return errno;
    }

    /// Lets accesses to a part of the backdrop fault.
    ///
    /// @return 0, or why it could not be registered
    @GuardedBy("lock")
    private int openBackdropLocked(HvaRange shown) {
        int errno = uffd().tryRegister(shown, adopted);
        if (errno != 0) {
            return errno;
        }
        return sys.libc().mprotect(shown.startHva(), shown.lengthBytes(), READ_WRITE) < 0
                ? sys.libc().errno()
                : 0;
    }

    /// Records the grants in a part of the range as evicted.
    @GuardedBy("lock")
    private void noteEvictedLocked(HvaRange part) {
        for (Part piece : vmas.partsOf(part)) {
            if (piece.target().equals(backdropAtLocked(piece.range().startHva()))) {
                for (HvaRange run : continued.runsIn(piece.range())) {
                    evicted.add(run, backdropAtLocked(run.startHva()));
                }
            } else if (piece.target().prot() != LinuxAbi.PROT_NONE) {
                evicted.add(piece.range(), piece.target());
            }
        }
    }

    @Override
    public int evictableCount() {
        return uffd == null ? 0 : vmaCount;
    }

    /// Evicts kernel mappings of granted pages: an eighth of them, or a few, the next ones in a
    /// circle through the addresses. The pages return at their next access.
    ///
    /// @return the decrease in the number of mappings; 0 in a range that is mapped at once, whose
    ///   pages would not return, or is shut
    @Override
    public int evictSome() {
        lock.lock();
        try {
            if (uffd == null || shut) {
                return 0;
            }
            int before = vmas.count();
            HvaRange window = vmas.windowFrom(evictFrom, Math.max(MIN_EVICTED, before / 8));
            evictFrom = window.endHva() < range.endHva() ? window.endHva() : range.startHva();
            noteEvictedLocked(window);
            clearLocked(window);
            return before - vmas.count();
        } finally {
            lock.unlock();
        }
    }

    /// Whether the page at `hva` is granted, but not mapped.
    boolean isEvicted(long hva) {
        if (!evicted.everHadAny()) {
            return false;
        }
        lock.lock();
        try {
            return evicted.targetOf(HvaRange.ofPages(Page.baseOf(hva), 1)) != null;
        } finally {
            lock.unlock();
        }
    }

    /// Maps the page at `hva` again, if it was evicted.
    ///
    /// @throws MdevException ENOMEM if there is still no room for it
    void restore(long hva) {
        lock.lock();
        try {
            HvaRange page = HvaRange.ofPages(Page.baseOf(hva), 1);
            Target target = evicted.targetOf(page);
            if (target == null || shut) {
                return;
            }
            if (poisoned.contains(page.startHva())) {
                clearLocked(page);
            }
            if (isParallelLocked(page, target)) {
                continueLocked(page, target);
            } else {
                mapOverLocked(page, target);
            }
            evicted.remove(page);
        } finally {
            lock.unlock();
        }
    }

    /// Makes accesses to an unmapped page an error for threads other than virtual processors, and
    /// wakes waiting threads. A virtual processor that accesses it ignores the error and asks again
    /// ([#unpoison]).
    void poison(HvaRange page) {
        lock.lock();
        try {
            if (shut) {
                return;
            }
            int errno =
                    showsOnlyBackdropLocked(page) ? uffd().tryPoison(page) : Errno.EEXIST.code();
            if (errno == Errno.EEXIST.code()) {
                // It was granted in the meantime.
                uffd().wake(page);
                return;
            }
            poisoned.add(page.startHva());
            if (errno != 0) {
                forbidLocked(page);
            }
        } finally {
            lock.unlock();
        }
    }

    /// Kernels before 6.6 have no poison; this replaces it: a mapping of one page without rights.
    @GuardedBy("lock")
    private void forbidLocked(HvaRange page) {
        Target target = backdropAtLocked(page.startHva());
        try {
            mapOverLocked(page, target.withProt(LinuxAbi.PROT_NONE));
        } catch (MdevException e) {
            // There was no room for it: the threads fault again, which is better than to sleep.
            var _ = poisoned.remove(page.startHva());
        } finally {
            uffd().wake(page);
        }
    }

    /// Makes a page usable again that [#poison] made unusable.
    ///
    /// @return false if it was not poisoned: then the host's memory is broken
    boolean unpoison(long hva) {
        lock.lock();
        try {
            HvaRange page = HvaRange.ofPages(Page.baseOf(hva), 1);
            if (shut || !poisoned.contains(page.startHva())) {
                return false;
            }
            clearLocked(page);
            return true;
        } finally {
            lock.unlock();
        }
    }

    /// Makes every access to the range fail, and wakes waiting threads. Nothing changes it any
    /// more.
    void shut() {
        lock.lock();
        try {
            sys.mmap(
                    new Syscalls.Placement(
                            range.startHva(),
                            range.lengthBytes(),
                            LinuxAbi.PROT_NONE,
                            LinuxAbi.MAP_PRIVATE | LinuxAbi.MAP_FIXED | LinuxAbi.MAP_NORESERVE));
            budget.removeUser(this);
            budget.add(-vmas.count());
            shut = true;
            if (uffd != null) {
                uffd.wake(range);
            }
        } finally {
            lock.unlock();
        }
    }

    /// The number of the kernel's mappings in the range.
    public int vmaCount() {
        return vmaCount;
    }

    /// Granted pages that the kernel had no room for.
    public long evictedPages() {
        lock.lock();
        try {
            return evicted.count();
        } finally {
            lock.unlock();
        }
    }

    private Userfaultfd uffd() {
        if (uffd == null) {
            throw new IllegalStateException("not a lazy range: " + range);
        }
        return uffd;
    }

    private int tryMmap(HvaRange part, Target target, int prot) {
        long address =
                sys.libc()
                        .mmap(
                                part.startHva(),
                                part.lengthBytes(),
                                prot,
                                LinuxAbi.MAP_SHARED | LinuxAbi.MAP_FIXED,
                                target.file(),
                                target.offsetBytes());
        return address == LinuxAbi.MAP_FAILED ? sys.libc().errno() : 0;
    }

    /// The rights of a kernel mapping.
    static int protOf(Prot prot) {
        return switch (prot) {
            case NONE -> LinuxAbi.PROT_NONE;
            case READ -> LinuxAbi.PROT_READ;
            case READ_WRITE -> READ_WRITE;
        };
    }
}
