package dev.mdev.core.engine.kvm.mm;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.kvm.mm.VmaMap.Target;
import dev.mdev.core.sys.Syscalls;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/// The pages of a range that `UFFDIO_CONTINUE` entered: they have no kernel mapping of their own.
/// Not for concurrent use.
final class ContinuedPages {
    private final Syscalls sys;
    private final HvaRange range;
    private final BitSet pages = new BitSet();

    ContinuedPages(Syscalls sys, HvaRange range) {
        this.sys = sys;
        this.range = range;
    }

    /// Enters the pages of a part of the range, which is mapped and registered. On failure, some
    /// pages may have been entered, and all count as entered.
    ///
    /// @param target the file's pages behind the part
    /// @throws dev.mdev.api.MdevException the kernel's error
    void enter(Userfaultfd uffd, HvaRange part, Target target) {
        // Before the first page, so that a removal covers all pages.
        pages.set(indexOf(part.startHva()), indexOf(part.endHva()));
        long done = 0;
        boolean allocated = false;
        while (done < part.lengthBytes()) {
            HvaRange rest = new HvaRange(part.startHva() + done, part.lengthBytes() - done);
            Userfaultfd.Continued outcome = uffd.tryContinue(rest);
            done += outcome.mappedBytes();
            int errno = outcome.errno();
            if (errno == 0 || errno == Errno.EAGAIN.code()) {
                continue;
            }
            if (errno == Errno.EEXIST.code()) {
                done += Page.SIZE;
            } else if (errno == Errno.EFAULT.code() && !allocated) {
                // An untouched page does not exist yet.
                allocated = true;
                allocate(part, target);
            } else {
                throw Syscalls.failure(errno, "UFFDIO_CONTINUE " + rest);
            }
        }
    }

    private void allocate(HvaRange part, Target target) {
        if (sys.libc().fallocate(target.file(), 0, target.offsetBytes(), part.lengthBytes()) < 0) {
            throw Syscalls.failure(sys.libc().errno(), "fallocate " + part);
        }
    }

    /// Records that pages are gone.
    void remove(HvaRange part) {
        pages.clear(indexOf(part.startHva()), indexOf(part.endHva()));
    }

    /// The runs of pages in a part of the range.
    List<HvaRange> runsIn(HvaRange part) {
        List<HvaRange> runs = new ArrayList<>();
        int end = indexOf(part.endHva());
        int first = pages.nextSetBit(indexOf(part.startHva()));
        while (first >= 0 && first < end) {
            int runEnd = Math.min(end, pages.nextClearBit(first));
            runs.add(HvaRange.ofPages(range.startHva() + Page.addressOf(first), runEnd - first));
            first = pages.nextSetBit(runEnd);
        }
        return runs;
    }

    private int indexOf(long hva) {
        return (int) Page.numberOf(hva - range.startHva());
    }
}
