package dev.mdev.core.engine.kvm.mm;

import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.kvm.mm.VmaMap.Target;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

/// The calls that change what the kernel has mapped in one reserved range.
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
final class KernelRange {
    static final int READ_WRITE = LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE;

    private final Syscalls sys;
    private final HvaRange range;
    private final @Nullable Userfaultfd uffd;

    /// @param uffd for a lazy range; null for one that is mapped at once
    KernelRange(Syscalls sys, HvaRange range, @Nullable Userfaultfd uffd) {
        this.sys = sys;
        this.range = range;
        this.uffd = uffd;
    }

    boolean isLazy() {
        return uffd != null;
    }

    /// Gets the events of a lazy range.
    Userfaultfd uffd() {
        if (uffd == null) {
            throw new IllegalStateException("not a lazy range: " + range);
        }
        return uffd;
    }

    /// Maps a part of a file.
    ///
    /// @param prot rights, whatever the target says
    /// @return 0, or the error number
    int map(HvaRange part, Target target, int prot) {
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

    /// Lets accesses to a part of the backdrop fault.
    ///
    /// @param minor whether the backdrop's pages exist in the file
    /// @return 0, or why it could not be registered
    int register(HvaRange shown, boolean minor) {
        int errno = uffd().tryRegister(shown, minor);
        if (errno != 0) {
            return errno;
        }
        return sys.libc().mprotect(shown.startHva(), shown.lengthBytes(), READ_WRITE) < 0
                ? sys.libc().errno()
                : 0;
    }

    /// Drops the pages of a part of an adopted backdrop.
    void dropPages(HvaRange part) {
        sys.madvise(part.startHva(), part.lengthBytes(), LinuxAbi.MADV_DONTNEED);
    }

    /// Makes every touch of the range fail.
    void forbidAll() {
        sys.mmap(
                new Syscalls.Placement(
                        range.startHva(),
                        range.lengthBytes(),
                        LinuxAbi.PROT_NONE,
                        LinuxAbi.MAP_PRIVATE | LinuxAbi.MAP_FIXED | LinuxAbi.MAP_NORESERVE));
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
