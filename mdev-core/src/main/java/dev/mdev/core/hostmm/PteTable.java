package dev.mdev.core.hostmm;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;

import org.jspecify.annotations.Nullable;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicReferenceArray;

/// The entries of one vma, by page within the vma. Leaves of 512 entries are allocated at first
/// use.
///
/// Readers take no lock: they read an entry with acquire order, and writers write it with release
/// order, so that a reader of an entry also sees the page's content. Writers hold the vma's entries
/// lock.
final class PteTable {
    private static final VarHandle ENTRY = MethodHandles.arrayElementVarHandle(long[].class);

    /// log2 of the entries of a leaf: 2 MiB of pages.
    static final int LEAF_SHIFT = 9;

    private static final int LEAF_SIZE = 1 << LEAF_SHIFT;

    private final AtomicReferenceArray<long @Nullable []> leaves;

    /// Entries that are present. Written under the vma's entries lock.
    private volatile long present;

    PteTable(long npages) {
        leaves =
                new AtomicReferenceArray<>(Math.toIntExact((npages + LEAF_SIZE - 1) >> LEAF_SHIFT));
    }

    long getAcquire(long page) {
        long[] leaf = leaves.getAcquire((int) (page >>> LEAF_SHIFT));
        return leaf == null
                ? HostPte.NONE
                : (long) ENTRY.getAcquire(leaf, (int) page & (LEAF_SIZE - 1));
    }

    /// Sets the entry, and returns the previous one.
    @SuppressWarnings("NonAtomicVolatileUpdate") // writers hold the vma's entries lock
    long setReleaseLocked(long page, long pte) {
        int index = (int) (page >>> LEAF_SHIFT);
        long[] leaf = leaves.getPlain(index);
        if (leaf == null) {
            if (!HostPte.isPresent(pte)) {
                return HostPte.NONE;
            }
            leaf = new long[LEAF_SIZE];
            leaves.setRelease(index, leaf);
        }
        int slot = (int) page & (LEAF_SIZE - 1);
        long before = leaf[slot];
        ENTRY.setRelease(leaf, slot, pte);
        present += (HostPte.isPresent(pte) ? 1 : 0) - (HostPte.isPresent(before) ? 1 : 0);
        return before;
    }

    /// The first page in `[page, endPage)` that may have an entry, or `endPage`: skips whole absent
    /// leaves.
    long skipAbsent(long page, long endPage) {
        long next = page;
        while (next < endPage && leaves.getAcquire((int) (next >>> LEAF_SHIFT)) == null) {
            next = ((next >>> LEAF_SHIFT) + 1) << LEAF_SHIFT;
        }
        return Math.min(next, endPage);
    }

    long present() {
        return present;
    }

    /// Entries of `[page, endPage)` that are present: each was at some time during the call.
    long presentIn(long page, long endPage) {
        long found = 0;
        for (long at = skipAbsent(page, endPage); at < endPage; at = skipAbsent(at + 1, endPage)) {
            if (HostPte.isPresent(getAcquire(at))) {
                found++;
            }
        }
        return found;
    }

    /// Whether the leaf of entries from `firstPage` on maps physical pages in order, with equal
    /// rights, from a page of the same alignment.
    boolean isWhole(long firstPage) {
        long npages = 1L << LEAF_SHIFT;
        long first = getAcquire(firstPage);
        if (!HostPte.isPresent(first) || (HostPte.pfn(first) & (npages - 1)) != 0) {
            return false;
        }
        for (long i = 1; i < npages; i++) {
            long wanted = HostPte.of(HostPte.pfn(first) + i, HostPte.prot(first));
            if (getAcquire(firstPage + i) != wanted) {
                return false;
            }
        }
        return true;
    }

    /// The size of the largest aligned piece around `hva` of a range that maps physical pages in
    /// order: 3 for 1 GiB, 2 for 2 MiB, 1 for less.
    static int levelOf(HvaRange range, long firstPfn, long hva) {
        for (int level = 3; level > 1; level--) {
            long npages = 1L << (LEAF_SHIFT * (level - 1));
            long start = hva & -Page.bytesOf(npages);
            boolean inside =
                    start >= range.startHva() && start + Page.bytesOf(npages) <= range.endHva();
            long skew = Page.numberOf(range.startHva()) ^ firstPfn;
            if (inside && (skew & (npages - 1)) == 0) {
                return level;
            }
        }
        return 1;
    }
}
