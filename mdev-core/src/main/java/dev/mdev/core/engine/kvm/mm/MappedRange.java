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

/// One reserved range of addresses and what the kernel has mapped in it.
///
/// Where nothing is granted, the kernel has the *backdrop*: a mapping that is registered with the
/// range's userfaultfd and of which no page is present, so that every touch is an event. It shows a
/// file that nobody ever writes, or, once the owner has granted pages in parallel to their
/// addresses, the granted block itself (`tryAdoptLocked`). Granted pages are mapped over it, one
/// kernel mapping for each run; in parallel to a backdrop of their own block they need none and are
/// entered by `UFFDIO_CONTINUE`.
///
/// ## No access is lost
///
/// A mapping comes and goes by one `mmap` with `MAP_FIXED`, which the kernel does as one step for
/// whoever faults: there is never an address with nothing behind it. To put the backdrop back takes
/// three calls, since a mapping is registered only once it is there:
///
/// ```
/// mmap(PROT_NONE)       the old pages are gone, from guests' tables too; a touch is EFAULT
/// UFFDIO_REGISTER       still EFAULT
/// mprotect(READ|WRITE)  a touch is an event
/// ```
///
/// With any other order a touch in between would find a page of zeroes, and a store to it would be
/// lost. On EFAULT the virtual processor asks the owner itself, which waits for the zap to end, and
/// tries again. If registering fails, the range stays at EFAULT, and works.
///
/// ## A zap does not fail
///
/// Taking a page out of the middle of a run makes two mappings of one, and when the kernel has no
/// room for another, the neighbours are given up as well: they go to `evicted`, and come back when
/// they are touched ([#restore]). So do pages whose mappings somebody else needs ([#evictSome]):
/// granted pages may be more than the kernel has mappings for.
public final class MappedRange implements VmaBudget.User {
    /// In our books: what looks like the backdrop is none, but a mapping without faults.
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

    /// How many pieces `vmas` has. Changed under the lock; read without it by whoever looks for
    /// mappings to be given back, and does so for all ranges.
    private volatile int vmaCount = 1;

    /// What the kernel shows at the start of the range where nothing is granted.
    @GuardedBy("lock")
    private Target backdrop;

    /// Whether nothing was mapped yet.
    @GuardedBy("lock")
    private boolean untouched = true;

    /// Whether the backdrop is the block of the grants. Its pages exist in the file, so that they
    /// are absent for nobody: it must be registered for minor faults too.
    @GuardedBy("lock")
    private boolean adopted;

    /// Whether all of an adopted backdrop is registered, so that `UFFDIO_CONTINUE` works.
    @GuardedBy("lock")
    private boolean continuing;

    @GuardedBy("lock")
    private final ContinuedPages continued;

    /// Used under the lock, but for [EvictedPages#everHadAny].
    private final EvictedPages evicted;

    @GuardedBy("lock")
    private boolean shut;

    /// Where the next eviction begins.
    @GuardedBy("lock")
    private long evictFrom;

    /// Pages that we made unusable ([#poison]), by address.
    @GuardedBy("lock")
    private final Set<Long> poisoned = new HashSet<>();

    /// Sets up a range whose addresses are reserved already.
    ///
    /// @param backdrop a file without content, shown in parallel to the addresses
    /// @param uffd for a lazy range; null for one that is mapped at once
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
    /// @param part where; the backdrop is there now
    /// @param block all of the file that belongs to the pages' block
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
    /// @param offsetBytes where it begins
    record FileExtent(long offsetBytes, long lengthBytes) {}

    /// Makes the block that the first grant is from the backdrop, if the whole range fits into it
    /// in parallel. From then on its pages are entered by `UFFDIO_CONTINUE`, without a kernel
    /// mapping for each run. That the backdrop shows pages which are not granted is safe as long as
    /// it is registered, and it is from before it may be touched until after it is gone.
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
                // Not memory that faults can be registered for, such as a BAR of a PCI function.
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
        // One mapping more cuts another in two at worst.
        budget.take(2);
        int errno = tryMmap(part, target, target.prot() & ~NOT_REGISTERED);
        if (errno != 0) {
            budget.add(-2);
            throw Syscalls.failure(errno, "mmap " + part);
        }
        // The same as the backdrop, but not registered: the kernel does not merge the two.
        boolean parallel = backdropAtLocked(part.startHva()).equals(target);
        Target noted = parallel ? target.withProt(target.prot() | NOT_REGISTERED) : target;
        continued.remove(part);
        budget.add(noteMappedLocked(part, noted) - 2);
    }

    /// @return how many mappings there are more than before
    @GuardedBy("lock")
    private int noteMappedLocked(HvaRange part, Target target) {
        int more = vmas.set(part, target);
        vmaCount = vmas.count();
        return more;
    }

    /// Removes what is mapped in a part of the range.
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
        // Last: what is there still if the kernel refuses must still be known.
        evicted.remove(part);
    }

    @GuardedBy("lock")
    private void clearLocked(HvaRange part) {
        if (showBackdropLocked(part) != 0) {
            // What is not registered must not be reached by mapping it in parallel.
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

    /// Puts the backdrop over everything that is mapped in a part of the range.
    ///
    /// @return 0, or why it could not be registered; touching it is EFAULT then
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

    /// Notes as evicted what is granted in a part of the range.
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

    /// Gives kernel mappings of granted pages back, an eighth of them or a few: those next in the
    /// order of addresses, round and round. The pages come back when they are touched.
    ///
    /// @return how many mappings there are fewer; none in a range that is mapped at once, whose
    ///   pages would not come back, or is shut
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

    /// Makes touching an unmapped page an error for those who are no virtual processors, and wakes
    /// those who wait for it. A virtual processor that touches it is not told so, but asks anew
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
                // It was granted meanwhile.
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

    /// What kernels before 6.6 have instead of poison: a mapping of one page without rights.
    @GuardedBy("lock")
    private void forbidLocked(HvaRange page) {
        Target target = backdropAtLocked(page.startHva());
        try {
            mapOverLocked(page, target.withProt(LinuxAbi.PROT_NONE));
        } catch (MdevException e) {
            // There was no room for it: they fault again, which is better than to sleep.
            var _ = poisoned.remove(page.startHva());
        } finally {
            uffd().wake(page);
        }
    }

    /// Makes a page usable again that [#poison] made unusable.
    ///
    /// @return false if it did not: then it is the host's memory that is broken
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

    /// Makes every touch of the range fail, and wakes those who wait in it. Nothing changes it any
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

    /// How many mappings the kernel has in the range.
    public int vmaCount() {
        return vmaCount;
    }

    /// Pages that are granted but that the kernel had no room for.
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
