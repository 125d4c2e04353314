package dev.mdev.core.engine.kvm.mm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
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
/// block itself ([Backdrop]). Granted pages are mapped over it, with one kernel mapping per run;
/// pages linear to a backdrop of their own block need no mapping, and `UFFDIO_CONTINUE` enters
/// them.
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

    private final HvaRange range;
    private final KernelRange kernel;
    private final VmaBudget budget;

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final VmaMap vmas;

    /// The number of pieces of `vmas`. Changed under the lock; read without it by a thread that
    /// looks for mappings to evict in all ranges.
    private volatile int vmaCount = 1;

    @GuardedBy("lock")
    private Backdrop backdrop;

    /// Whether nothing was mapped yet.
    @GuardedBy("lock")
    private boolean untouched = true;

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
        this.range = range;
        this.kernel = new KernelRange(sys, range, uffd);
        this.backdrop = new Backdrop(range, backdrop, false, false);
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
    void map(HvaRange part, Target target, Backdrop.FileExtent block) {
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
                tryAdoptLocked(part, target, block);
            }
            if (backdrop.isParallel(part, target)) {
                continueLocked(part, target);
            } else {
                mapOverLocked(part, target);
            }
        } finally {
            lock.unlock();
        }
    }

    /// Makes the block that the first grant is from the backdrop, if that can be.
    @GuardedBy("lock")
    private void tryAdoptLocked(HvaRange part, Target target, Backdrop.FileExtent block) {
        Backdrop former = backdrop;
        Backdrop adopting = kernel.isLazy() ? former.adopting(part, target, block) : null;
        if (adopting == null) {
            return;
        }
        backdrop = adopting;
        boolean shown = false;
        try {
            shown = showBackdropLocked(range) == 0;
        } finally {
            if (!shown) {
                // Memory without support for registered faults, such as a BAR of a PCI function.
                backdrop = former;
                var _ = showBackdropLocked(range);
            }
        }
    }

    @GuardedBy("lock")
    private void continueLocked(HvaRange part, Target target) {
        try {
            continued.enter(kernel.uffd(), part, target);
        } catch (MdevException e) {
            zapLocked(part);
            throw e;
        }
    }

    @GuardedBy("lock")
    private void mapOverLocked(HvaRange part, Target target) {
        // In the worst case, one more mapping cuts another in two.
        budget.take(2);
        int errno = kernel.map(part, target, target.prot() & ~NOT_REGISTERED);
        if (errno != 0) {
            budget.add(-2);
            throw Syscalls.failure(errno, "mmap " + part);
        }
        // Equal to the backdrop, but unregistered: the kernel does not merge the two.
        boolean parallel = backdrop.at(part.startHva()).equals(target);
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
        if (backdrop.continuing() && poisoned.isEmpty() && backdrop.isAllOf(vmas.partsOf(part))) {
            kernel.dropPages(part);
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
            backdrop = backdrop.withoutContinuing();
        }
    }

    /// Puts the backdrop over all mappings in a part of the range.
    ///
    /// @return 0, or why it could not be registered; accesses are EFAULT then
    @GuardedBy("lock")
    private int showBackdropLocked(HvaRange part) {
        HvaRange shown = part;
        Target target = backdrop.at(shown.startHva());
        int errno = kernel.map(shown, target, LinuxAbi.PROT_NONE);
        if (errno == Errno.ENOMEM.code()) {
            shown = vmas.widened(part);
            noteEvictedLocked(shown);
            target = backdrop.at(shown.startHva());
            errno = kernel.map(shown, target, LinuxAbi.PROT_NONE);
        }
        if (errno != 0) {
            throw Syscalls.failure(errno, "mmap " + shown);
        }
        poisoned.removeIf(shown::contains);
        continued.remove(shown);
        errno = kernel.isLazy() ? kernel.register(shown, backdrop.adopted()) : 0;
        Target noted = errno == 0 ? target : target.withProt(LinuxAbi.PROT_NONE);
        budget.add(noteMappedLocked(shown, noted));
        return errno;
    }

    /// Records the grants in a part of the range as evicted.
    @GuardedBy("lock")
    private void noteEvictedLocked(HvaRange part) {
        for (Part piece : vmas.partsOf(part)) {
            if (piece.target().equals(backdrop.at(piece.range().startHva()))) {
                for (HvaRange run : continued.runsIn(piece.range())) {
                    evicted.add(run, backdrop.at(run.startHva()));
                }
            } else if (piece.target().prot() != LinuxAbi.PROT_NONE) {
                evicted.add(piece.range(), piece.target());
            }
        }
    }

    @Override
    public int evictableCount() {
        return kernel.isLazy() ? vmaCount : 0;
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
            if (!kernel.isLazy() || shut) {
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
            if (backdrop.isParallel(page, target)) {
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
                    backdrop.isAllOf(vmas.partsOf(page))
                            ? kernel.uffd().tryPoison(page)
                            : Errno.EEXIST.code();
            if (errno == Errno.EEXIST.code()) {
                // It was granted in the meantime.
                kernel.uffd().wake(page);
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
        Target target = backdrop.at(page.startHva());
        try {
            mapOverLocked(page, target.withProt(LinuxAbi.PROT_NONE));
        } catch (MdevException e) {
            // There was no room for it: the threads fault again, which is better than to sleep.
            var _ = poisoned.remove(page.startHva());
        } finally {
            kernel.uffd().wake(page);
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
            kernel.forbidAll();
            budget.removeUser(this);
            budget.add(-vmas.count());
            shut = true;
            if (kernel.isLazy()) {
                kernel.uffd().wake(range);
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
}
