package dev.mdev.core.dma;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.sync.Cancellation;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;

/// A machine's memory as one of its devices reaches it: through the machine's slots, as long as the
/// device is master of the bus. I/O virtual addresses are guest-physical.
///
/// A pin guarantees that the slots behind its pages stay. It does not fix physical pages: if they
/// belong to another device, its driver can revoke them at any time, and the next access through
/// the pin faults them in again.
///
/// ## How memory goes away
///
/// A thread that is about to change slots does this, in this order, and holds no lock in the second
/// step:
///
/// 1. [#refusePins]: from here on no page of the range can be pinned;
/// 2. it calls the driver of each window with [pins there][#hasPins], and [#unpin] closes the
///    remaining pins;
/// 3. the slots change;
/// 4. [#allowPins].
///
/// Slots that change without these steps still leave no pin behind: a listener of slots calls
/// [#unpin] for a slot that is INVALID. The driver is then not called.
///
/// ## Dirty logging
///
/// A page is marked after each write to it. A page pinned for writing is also marked when it is
/// pinned and when it is unpinned. For the migration of the guest it counts as dirty the whole
/// time: a listener of slots calls [#markPinned] when a slot starts to log, and before its log is
/// read (Linux `vfio_dma_populate_bitmap`).
///
/// Any thread may call all methods.
public final class DmaWindow implements GuestMemory {
    private final DmaMemory memory;
    private final Gate gate;
    private final long pinLimitPages;
    private final @Nullable DeviceWatches watches;

    /// A leaf, except for read sections of the slots.
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final List<PinnedPages> pins = new ArrayList<>();

    @GuardedBy("lock")
    private long pinnedPages;

    /// Ranges that are about to be removed, once for each announcement.
    @GuardedBy("lock")
    private final List<GfnRange> leaving = new ArrayList<>();

    private volatile boolean closed;

    /// The device's permission to use the bus.
    public interface Gate {
        /// Whether the device may read and write memory now.
        boolean isOpen();

        /// The device accessed an address without a target.
        default void aborted() {}
    }

    /// @param memory the machine's memory
    /// @param pinLimitPages the maximum number of pinned pages, counted once for each pin
    public DmaWindow(DmaMemory memory, Gate gate, long pinLimitPages) {
        this(memory, gate, pinLimitPages, null);
    }

    /// @param watches of stores of the guest; null if they cannot be watched
    public DmaWindow(
            DmaMemory memory, Gate gate, long pinLimitPages, @Nullable DeviceWatches watches) {
        this.memory = memory;
        this.gate = gate;
        this.pinLimitPages = pinLimitPages;
        this.watches = watches;
    }

    @Override
    public void read(long iova, MemorySegment destination) {
        transfer(iova, destination, Access.READ);
    }

    @Override
    public void write(long iova, MemorySegment source) {
        transfer(iova, source, Access.WRITE);
    }

    private void transfer(long iova, MemorySegment buffer, Access access) {
        requireOpen(iova);
        requireAll(memory.copy(iova, buffer, access, () -> !closed), iova, access);
    }

    @Override
    public Window window(long iova, long lengthBytes) {
        if (lengthBytes < 1) {
            throw new MdevException(
                    Errno.EINVAL, "iova=0x%x lengthBytes=%d".formatted(iova, lengthBytes));
        }
        return new RangeWindow(iova, lengthBytes, memory.range(iova, lengthBytes));
    }

    @Override
    public WriteWatch watchWrites(long iova, long npages) {
        return watches == null
                ? GuestMemory.super.watchWrites(iova, npages)
                : watches.watch(iova, npages);
    }

    private void requireOpen(long iova) {
        if (closed || !gate.isOpen()) {
            throw new MdevException(
                    Errno.ENODEV, "the device may not master the bus: iova=0x%x".formatted(iova));
        }
    }

    private void requireAll(DmaMemory.Copied copied, long iova, Access access) {
        if (copied.cancelled()) {
            throw cancelled(iova);
        }
        if (!copied.isAll()) {
            gate.aborted();
            throw new MdevException(
                    Errno.EFAULT,
                    "%s: %s iova=0x%x doneBytes=%d"
                            .formatted(copied.reason(), access, iova, copied.doneBytes()));
        }
    }

    @Override
    public Pin pin(long iova, long npages, Access access) {
        if (npages < 1 || !Page.isAligned(iova)) {
            throw new MdevException(Errno.EINVAL, "iova=0x%x npages=%d".formatted(iova, npages));
        }
        requireOpen(iova);
        if (npages > pinLimitPages) {
            throw overLimit(npages);
        }
        if (Long.compareUnsigned(iova + Page.addressOf(npages - 1), iova) < 0) {
            throw noMemory(iova);
        }
        GfnRange gfns = new GfnRange(Page.numberOf(iova), npages);
        long[] hvas = memory.resolve(gfns, access);
        for (int page = 0; page < hvas.length; page++) {
            if (!memory.faultIn(hvas[page], access).isEmpty()) {
                if (Cancellation.isCancelled()) {
                    throw cancelled(iova);
                }
                throw noMemory(iova + Page.addressOf(page));
            }
        }
        return register(gfns, access, hvas);
    }

    /// Keeps the pages if the slots are still the ones that were found.
    private PinnedPages register(GfnRange gfns, Access access, long[] hvas) {
        PinnedPages pin = new PinnedPages(gfns, access);
        memory.hold(() -> add(pin, hvas));
        pin.mark();
        return pin;
    }

    /// In a hold of the memory.
    private void add(PinnedPages pin, long[] hvas) {
        GfnRange gfns = pin.gfns;
        lock.lock();
        try {
            if (closed) {
                throw new MdevException(Errno.ENODEV, "the device was taken from the machine");
            }
            if (pinnedPages + gfns.npages() > pinLimitPages) {
                throw overLimit(gfns.npages());
            }
            if (leaving.stream().anyMatch(gfns::overlaps)
                    || !Arrays.equals(hvas, memory.resolve(gfns, pin.access))) {
                throw noMemory(Page.addressOf(gfns.firstGfn()));
            }
            pins.add(pin);
            pinnedPages += gfns.npages();
        } finally {
            lock.unlock();
        }
    }

    /// The device must stand still, and its step would have to wait: the step retries later.
    private static MdevException cancelled(long iova) {
        return new MdevException(
                Errno.ECANCELED, "the device is to stand still: iova=0x%x".formatted(iova));
    }

    private static MdevException noMemory(long iova) {
        return new MdevException(
                Errno.EFAULT, "no memory that can be pinned: iova=0x%x".formatted(iova));
    }

    private MdevException overLimit(long npages) {
        return new MdevException(
                Errno.ENOMEM,
                "too many pinned pages: npages=%d limit=%d".formatted(npages, pinLimitPages));
    }

    /// Pages pinned now, counted once for each pin.
    public long pinnedPages() {
        lock.lock();
        try {
            return pinnedPages;
        } finally {
            lock.unlock();
        }
    }

    /// Whether a page of the range is pinned.
    public boolean hasPins(GfnRange gfns) {
        lock.lock();
        try {
            return pins.stream().anyMatch(pin -> pin.gfns.overlaps(gfns));
        } finally {
            lock.unlock();
        }
    }

    /// Announces the removal of a range. Until [#allowPins], no page of it can be pinned.
    public void refusePins(GfnRange gfns) {
        lock.lock();
        try {
            leaving.add(gfns);
        } finally {
            lock.unlock();
        }
    }

    /// Undoes one [#refusePins] of the same range.
    public void allowPins(GfnRange gfns) {
        lock.lock();
        try {
            leaving.remove(gfns);
        } finally {
            lock.unlock();
        }
    }

    /// Closes every pin that has a page in the range.
    ///
    /// @return the number of closed pins
    public int unpin(GfnRange gfns) {
        List<PinnedPages> hit;
        lock.lock();
        try {
            hit = pins.stream().filter(pin -> pin.gfns.overlaps(gfns)).toList();
        } finally {
            lock.unlock();
        }
        hit.forEach(PinnedPages::close);
        return hit.size();
    }

    /// Marks the pages of a range that are pinned for writing as dirty.
    public void markPinned(GfnRange gfns) {
        List<PinnedPages> hit;
        lock.lock();
        try {
            hit = pins.stream().filter(pin -> pin.gfns.overlaps(gfns)).toList();
        } finally {
            lock.unlock();
        }
        hit.forEach(pin -> pin.mark(gfns));
    }

    /// Cuts the device off: closes all pins, and refuses everything from here on. After it returns,
    /// no byte is copied. Must not be called in a read section of the slots.
    public void close() {
        List<PinnedPages> all;
        lock.lock();
        try {
            closed = true;
            all = List.copyOf(pins);
        } finally {
            lock.unlock();
        }
        all.forEach(PinnedPages::close);
        if (watches != null) {
            watches.close();
        }
        // Each page is copied in a section that begins with a check of `closed`.
        memory.awaitHolds();
    }

    /// A range that the memory may remember.
    private final class RangeWindow implements Window {
        private final long iova;
        private final long lengthBytes;
        private final DmaMemory.Range range;

        RangeWindow(long iova, long lengthBytes, DmaMemory.Range range) {
            this.iova = iova;
            this.lengthBytes = lengthBytes;
            this.range = range;
        }

        @Override
        public void read(long offsetBytes, MemorySegment destination) {
            transfer(offsetBytes, destination, Access.READ);
        }

        @Override
        public void write(long offsetBytes, MemorySegment source) {
            transfer(offsetBytes, source, Access.WRITE);
        }

        private void transfer(long offsetBytes, MemorySegment buffer, Access access) {
            Objects.checkFromIndexSize(offsetBytes, buffer.byteSize(), lengthBytes);
            requireOpen(iova + offsetBytes);
            requireAll(
                    range.copy(offsetBytes, buffer, access, () -> !closed),
                    iova + offsetBytes,
                    access);
        }
    }

    /// One pin.
    private final class PinnedPages implements Pin {
        private final GfnRange gfns;
        private final Access access;
        private volatile boolean unpinned;

        PinnedPages(GfnRange gfns, Access access) {
            this.gfns = gfns;
            this.access = access;
        }

        void mark() {
            mark(gfns);
        }

        /// Marks the pages that are also in a range.
        void mark(GfnRange part) {
            if (access == Access.READ) {
                return;
            }
            long first = Math.max(gfns.firstGfn(), part.firstGfn());
            long end = Math.min(gfns.endGfn(), part.endGfn());
            if (first < end) {
                memory.markDirty(new GfnRange(first, end - first));
            }
        }

        @Override
        public void read(long offsetBytes, MemorySegment destination) {
            transfer(offsetBytes, destination, Access.READ);
        }

        @Override
        public void write(long offsetBytes, MemorySegment source) {
            if (access == Access.READ) {
                throw new MdevException(Errno.EPERM, "pinned for reading: " + gfns);
            }
            transfer(offsetBytes, source, Access.WRITE);
        }

        private void transfer(long offsetBytes, MemorySegment buffer, Access kind) {
            Objects.checkFromIndexSize(offsetBytes, buffer.byteSize(), Page.bytesOf(gfns.npages()));
            if (unpinned) {
                throw new MdevException(Errno.ENODEV, "no longer pinned: " + gfns);
            }
            long iova = Page.addressOf(gfns.firstGfn()) + offsetBytes;
            requireOpen(iova);
            DmaMemory.Copied copied = memory.copy(iova, buffer, kind, () -> !unpinned);
            if (unpinned && !copied.isAll()) {
                throw new MdevException(Errno.ENODEV, "no longer pinned: " + gfns);
            }
            requireAll(copied, iova, kind);
        }

        @Override
        public void close() {
            lock.lock();
            try {
                if (!pins.remove(this)) {
                    return;
                }
                unpinned = true;
                pinnedPages -= gfns.npages();
            } finally {
                lock.unlock();
            }
            mark();
        }
    }
}
