package dev.mdev.core.dma;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;

import org.jspecify.annotations.Nullable;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/// The pages of a guest that one of its devices watches, for the time of its stay. Any thread may
/// call the methods. The lock is a leaf.
public final class DeviceWatches {
    /// The maximum number of watched pages, counted once for each watch.
    public static final long LIMIT_PAGES = 4096;

    private final WriteWatches guest;
    private final WriteWatches.Listener device;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Set<DeviceWatch> watches = new LinkedHashSet<>();

    @GuardedBy("lock")
    private long pages;

    @GuardedBy("lock")
    private boolean closed;

    /// @param device tells the device
    public DeviceWatches(WriteWatches guest, WriteWatches.Listener device) {
        this.guest = guest;
        this.device = device;
    }

    /// Begins a watch, as [GuestMemory#watchWrites].
    GuestMemory.WriteWatch watch(long iova, long npages) {
        requireRange(iova, npages);
        DeviceWatch watch = new DeviceWatch(npages);
        add(watch);
        boolean done = false;
        try {
            // Without the lock: it changes mappings of the guest.
            watch.start(guest.watch(new GfnRange(Page.numberOf(iova), npages), device));
            done = true;
        } finally {
            if (!done) {
                watch.close();
            }
        }
        return watch;
    }

    private static void requireRange(long iova, long npages) {
        if (npages < 1
                || !Page.isAligned(iova)
                || iova < 0
                || npages > GfnRange.GFN_LIMIT - Page.numberOf(iova)) {
            throw new MdevException(Errno.EINVAL, "iova=0x%x npages=%d".formatted(iova, npages));
        }
    }

    private void add(DeviceWatch watch) {
        lock.lock();
        try {
            if (closed) {
                throw new MdevException(Errno.ENODEV, "the device was taken from the machine");
            }
            if (watch.npages > LIMIT_PAGES - pages) {
                throw new MdevException(
                        Errno.ENOMEM,
                        "too many watched pages: npages=%d limit=%d"
                                .formatted(watch.npages, LIMIT_PAGES));
            }
            watches.add(watch);
            pages += watch.npages;
        } finally {
            lock.unlock();
        }
    }

    /// Ends all watches, and refuses new ones.
    void close() {
        List<DeviceWatch> all;
        lock.lock();
        try {
            closed = true;
            all = List.copyOf(watches);
        } finally {
            lock.unlock();
        }
        all.forEach(DeviceWatch::close);
    }

    /// A watch of the device.
    private final class DeviceWatch implements GuestMemory.WriteWatch {
        private final long npages;

        /// Set under the lock.
        private WriteWatches.@Nullable Watch started;

        DeviceWatch(long npages) {
            this.npages = npages;
        }

        /// Ends at once if it was closed meanwhile.
        void start(WriteWatches.Watch its) {
            boolean ended;
            lock.lock();
            try {
                ended = !watches.contains(this);
                started = its;
            } finally {
                lock.unlock();
            }
            if (ended) {
                its.close();
            }
        }

        @Override
        public void close() {
            WriteWatches.Watch its;
            lock.lock();
            try {
                if (!watches.remove(this)) {
                    return;
                }
                pages -= npages;
                its = started;
            } finally {
                lock.unlock();
            }
            if (its != null) {
                its.close();
            }
        }
    }
}
