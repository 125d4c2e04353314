package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/// A guest's memory as its device sees it: one range from I/O virtual address 0 on. A test can
/// remove pages or make them read-only; dirty pages and pins are recorded.
///
/// Any threads may use it at once. After the device is removed, every use is a violation.
public final class SimulatedRam implements GuestMemory {
    private final InMemoryHost host;
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

    SimulatedRam(InMemoryHost host, int npages) {
        this.host = host;
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

    /// The guest's own store.
    public void poke(long address, MemorySegment source) {
        memory.write(address, source);
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
