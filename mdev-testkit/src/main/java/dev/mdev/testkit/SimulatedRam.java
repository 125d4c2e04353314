package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/// A guest's memory as its device sees it: one range from I/O virtual address 0 on. A test can
/// remove pages or make them read-only; dirty pages and pins are recorded.
///
/// Any threads may use it at once. After the device is removed, every use is a violation.
public final class SimulatedRam implements GuestMemory {
    private static final long WATCH_LIMIT_PAGES = 4096;

    private final InMemoryHost host;
    private final Stores written;
    private final SparseAperture memory;
    private volatile boolean busMaster = true;
    private volatile boolean closed;
    private volatile Runnable beforeAccess = () -> {};

    @GuardedBy("this")
    private final BitSet missing = new BitSet();

    @GuardedBy("this")
    private final BitSet readOnly = new BitSet();

    @GuardedBy("this")
    private final BitSet dirty = new BitSet();

    @GuardedBy("this")
    private final List<SimulatedPin> pins = new ArrayList<>();

    @GuardedBy("this")
    private final List<SimulatedWatch> watches = new ArrayList<>();

    /// Tells the driver of a store.
    @FunctionalInterface
    interface Stores {
        void accept(long iova, int widthBytes, long value);
    }

    SimulatedRam(InMemoryHost host, int npages, Stores written) {
        this.host = host;
        this.written = written;
        this.memory = new SparseAperture(new PfnRange(0, npages));
    }

    /// The size in bytes.
    public long sizeBytes() {
        return Page.bytesOf(memory.pfns().npages());
    }

    /// Whether the guest enables bus mastering; initially true.
    public void setBusMaster(boolean allowed) {
        busMaster = allowed;
    }

    /// Runs an action before each access by the device, on the accessing thread: for tests of
    /// concurrent events during DMA.
    public void setBeforeAccess(Runnable action) {
        beforeAccess = action;
    }

    /// Removes pages, as an IOMMU does on request. Does not notify the driver: see
    /// [InMemoryMdev#unmapDma].
    public synchronized void remove(long firstPage, long npages) {
        missing.set(Math.toIntExact(firstPage), Math.toIntExact(firstPage + npages));
    }

    /// Restores pages.
    public synchronized void restore(long firstPage, long npages) {
        missing.clear(Math.toIntExact(firstPage), Math.toIntExact(firstPage + npages));
    }

    /// Makes pages read-only for the device.
    public synchronized void protect(long firstPage, long npages) {
        readOnly.set(Math.toIntExact(firstPage), Math.toIntExact(firstPage + npages));
    }

    /// Pages that the device wrote, or may have written.
    public synchronized BitSet dirtyPages() {
        return (BitSet) dirty.clone();
    }

    /// Open pins.
    public synchronized int pins() {
        return pins.size();
    }

    /// The guest's own store. The driver is told of the watched pages
    /// ([dev.mdev.api.MdevDevice#guestWrote]).
    public void poke(long address, MemorySegment source) {
        memory.write(address, source);
        long end = address + source.byteSize();
        for (long at = address; at < end; ) {
            int width = (int) Math.min(Long.BYTES, Math.min(end, Page.baseOf(at) + Page.SIZE) - at);
            long from = at;
            long value = valueOf(source.asSlice(at - address, width));
            watchers(Page.numberOf(at)).forEach(_ -> written.accept(from, width, value));
            at += width;
        }
    }

    private static long valueOf(MemorySegment bytes) {
        long value = 0;
        for (long i = bytes.byteSize() - 1; i >= 0; i--) {
            value = value << Byte.SIZE | (bytes.get(ValueLayout.JAVA_BYTE, i) & 0xff);
        }
        return value;
    }

    private synchronized List<SimulatedWatch> watchers(long page) {
        return watches.stream().filter(watch -> watch.contains(page)).toList();
    }

    /// Watched pages, counted once for each watch.
    public synchronized long watchedPages() {
        return watches.stream().mapToLong(watch -> watch.npages).sum();
    }

    @Override
    public synchronized WriteWatch watchWrites(long iova, long npages) {
        begin("watchWrites");
        if (!Page.isAligned(iova) || iova < 0 || npages < 1) {
            throw new MdevException(
                    Errno.EINVAL, "watch iova=0x%x npages=%d".formatted(iova, npages));
        }
        if (npages > WATCH_LIMIT_PAGES - watchedPages()) {
            throw new MdevException(Errno.ENOMEM, "watch npages=" + npages);
        }
        SimulatedWatch watch = new SimulatedWatch(Page.numberOf(iova), npages);
        watches.add(watch);
        return watch;
    }

    private final class SimulatedWatch implements WriteWatch {
        private final long firstPage;
        private final long npages;

        SimulatedWatch(long firstPage, long npages) {
            this.firstPage = firstPage;
            this.npages = npages;
        }

        boolean contains(long page) {
            return page >= firstPage && page - firstPage < npages;
        }

        @Override
        public void close() {
            synchronized (SimulatedRam.this) {
                watches.remove(this);
            }
        }
    }

    /// The guest's own load.
    public void peek(long address, MemorySegment destination) {
        memory.read(address, destination);
    }

    @Override
    public void read(long iova, MemorySegment destination) {
        begin("read");
        host.faults().check(FaultInjector.Site.DMA_READ);
        long reachable = reachableBytes(iova, destination.byteSize(), Access.READ);
        memory.read(
                Math.min(iova & Long.MAX_VALUE, sizeBytes()), destination.asSlice(0, reachable));
        requireAll(iova, reachable, destination.byteSize());
    }

    @Override
    public void write(long iova, MemorySegment source) {
        begin("write");
        host.faults().check(FaultInjector.Site.DMA_WRITE);
        long reachable = reachableBytes(iova, source.byteSize(), Access.WRITE);
        if (reachable > 0) {
            memory.write(iova, source.asSlice(0, reachable));
            synchronized (this) {
                dirty.set((int) Page.numberOf(iova), (int) Page.numberOf(iova + reachable - 1) + 1);
            }
        }
        requireAll(iova, reachable, source.byteSize());
    }

    @Override
    public Pin pin(long iova, long npages, Access access) {
        begin("pin");
        if (!Page.isAligned(iova) || npages < 1) {
            throw new MdevException(
                    Errno.EINVAL, "pin iova=0x%x npages=%d".formatted(iova, npages));
        }
        if (npages > memory.pfns().npages()) {
            throw new MdevException(Errno.ENOMEM, "pin npages=" + npages);
        }
        long length = Page.bytesOf(npages);
        requireAll(iova, reachableBytes(iova, length, Access.READ), length);
        if (access == Access.WRITE && reachableBytes(iova, length, Access.WRITE) < length) {
            throw new MdevException(Errno.EPERM, "pin iova=0x%x is read-only".formatted(iova));
        }
        SimulatedPin pin = new SimulatedPin(iova, length, access);
        synchronized (this) {
            pins.add(pin);
            if (access == Access.WRITE) {
                dirty.set((int) Page.numberOf(iova), (int) (Page.numberOf(iova) + npages));
            }
        }
        return pin;
    }

    /// Closes the remaining pins in a range by force.
    ///
    /// @return the number of closed pins
    synchronized int forceUnpin(long iova, long lengthBytes) {
        List<SimulatedPin> left =
                pins.stream().filter(pin -> pin.overlaps(iova, lengthBytes)).toList();
        left.forEach(SimulatedPin::close);
        return left.size();
    }

    void close() {
        closed = true;
    }

    private void begin(String what) {
        if (closed) {
            throw host.violation(what + " of guest memory after close");
        }
        if (!busMaster) {
            throw new MdevException(Errno.ENODEV, "bus mastering is off");
        }
        beforeAccess.run();
    }

    /// The number of contiguous present bytes from `iova` on, up to `lengthBytes`.
    private synchronized long reachableBytes(long iova, long lengthBytes, Access access) {
        long reachable = 0;
        while (reachable < lengthBytes) {
            long address = iova + reachable;
            if (Long.compareUnsigned(address, sizeBytes()) >= 0) {
                break;
            }
            int page = (int) Page.numberOf(address);
            if (missing.get(page) || (access == Access.WRITE && readOnly.get(page))) {
                break;
            }
            reachable = Math.min(lengthBytes, reachable + Page.SIZE - Page.offsetOf(address));
        }
        return reachable;
    }

    private static void requireAll(long iova, long reachable, long lengthBytes) {
        if (reachable < lengthBytes) {
            throw new MdevException(Errno.EFAULT, "iova=0x%x".formatted(iova + reachable));
        }
    }

    private final class SimulatedPin implements Pin {
        private final long iova;
        private final long lengthBytes;
        private final Access access;

        SimulatedPin(long iova, long lengthBytes, Access access) {
            this.iova = iova;
            this.lengthBytes = lengthBytes;
            this.access = access;
        }

        boolean overlaps(long firstIova, long length) {
            return iova < firstIova + length && firstIova < iova + lengthBytes;
        }

        @Override
        public void read(long offsetBytes, MemorySegment destination) {
            requireInside(offsetBytes, destination.byteSize());
            memory.read(iova + offsetBytes, destination);
        }

        @Override
        public void write(long offsetBytes, MemorySegment source) {
            requireInside(offsetBytes, source.byteSize());
            if (access == Access.READ) {
                throw new MdevException(
                        Errno.EPERM, "pinned for reading: iova=0x%x".formatted(iova));
            }
            memory.write(iova + offsetBytes, source);
        }

        private void requireInside(long offsetBytes, long length) {
            synchronized (SimulatedRam.this) {
                if (!pins.contains(this)) {
                    throw new MdevException(Errno.ENODEV, "unpinned: iova=0x%x".formatted(iova));
                }
            }
            if (offsetBytes < 0 || length > lengthBytes - offsetBytes) {
                throw new IndexOutOfBoundsException(
                        "offset=0x%x length=0x%x".formatted(offsetBytes, length));
            }
        }

        @Override
        public void close() {
            synchronized (SimulatedRam.this) {
                pins.remove(this);
            }
        }
    }
}
