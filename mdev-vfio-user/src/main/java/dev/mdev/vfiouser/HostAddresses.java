package dev.mdev.vfiouser;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.hostmm.HostPageTable;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/// Host virtual addresses that no processor uses: names of the memory behind a client's maps. A
/// client maps and unmaps as long as it lives, so addresses are used again, as late as possible.
final class HostAddresses implements HostPageTable {
    private final long firstHva;
    private final long endHva;
    private final ReentrantLock lock = new ReentrantLock();

    /// The end of each range, by its start.
    @GuardedBy("lock")
    private final TreeMap<Long, Long> taken = new TreeMap<>();

    @GuardedBy("lock")
    private long next;

    HostAddresses(long firstHva, long endHva) {
        this.firstHva = firstHva;
        this.endHva = endHva;
        this.next = firstHva;
    }

    boolean contains(long hva) {
        return hva >= firstHva && hva < endHva;
    }

    @Override
    public HvaRange reserve(long npages, Kind kind) {
        if (npages > Page.numberOf(endHva - firstHva)) {
            throw usedUp(npages);
        }
        long size = Page.bytesOf(npages);
        lock.lock();
        try {
            long start = next;
            // Each range can be in the way once, and so can the end.
            for (int tries = taken.size() + 2; tries > 0; tries--) {
                if (start > endHva - size) {
                    start = firstHva;
                }
                Map.Entry<Long, Long> below = taken.lowerEntry(start + size);
                if (below == null || below.getValue() <= start) {
                    taken.put(start, start + size);
                    next = start + size;
                    return new HvaRange(start, size);
                }
                start = below.getValue();
            }
            throw usedUp(npages);
        } finally {
            lock.unlock();
        }
    }

    private static MdevException usedUp(long npages) {
        return new MdevException(Errno.ENOMEM, "no host addresses are free: npages=" + npages);
    }

    @Override
    public void release(HvaRange range) {
        lock.lock();
        try {
            taken.remove(range.startHva());
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void map(long hva, PfnRange pfns, Prot prot) {}

    @Override
    public void zap(HvaRange range) {}
}
