package dev.mdev.vfiouser;

import dev.mdev.api.Refusal;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.dma.DmaWindow;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.pci.PciConfigSpace;
import dev.mdev.core.pci.PciFunction;
import dev.mdev.core.sys.Syscalls;

import java.util.Optional;

/// A mediated device as one client has it: a PCI function with its regions, interrupts and way to
/// the guest's memory.
///
/// Used by the session's thread.
final class ClientDevice implements AutoCloseable {
    private static final long FIRST_HVA = 0x10_0000_0000L;
    private static final long END_HVA = 0x7fff_ffff_f000L;
    private static final GfnRange ALL = new GfnRange(0, GfnRange.GFN_LIMIT);

    private final MdevAssignment assignment;
    private final PciFunction function;
    private final HostMm bars;
    private final RegionAccessor regions;
    private final ClientInterrupts interrupts;
    private final ClientMemory memory;
    private final DmaWindow dma;
    private boolean mastered;

    /// What serves a device.
    ///
    /// @param memory the memory of the device's pages
    /// @param barFiles where the files of its mapped areas come from
    record Host(Syscalls sys, HostMemory memory, SessionOptions options, BarFiles barFiles) {}

    /// @param assignment becomes this object's, if this succeeds
    /// @param memory becomes this object's
    ClientDevice(MdevAssignment assignment, ClientMemory memory, Host host) {
        this.assignment = assignment;
        this.memory = memory;
        function = new PciFunction(assignment, new Owner());
        bars =
                new HostMm(
                        new HostAddresses(FIRST_HVA, END_HVA),
                        host.memory,
                        host.options.accessTimeout());
        regions = new RegionAccessor(assignment, function, bars, host.barFiles);
        interrupts = new ClientInterrupts(host.sys, function.interrupts());
        dma = new DmaWindow(memory, new BusGate(), host.options.limits().pinnedPages());
        memory.slots().addListener(new PinMarks());
        try {
            function.connect(dma);
            regions.populate();
        } catch (RuntimeException | Error e) {
            regions.close();
            throw e;
        }
    }

    MdevAssignment assignment() {
        return assignment;
    }

    PciFunction function() {
        return function;
    }

    RegionAccessor regions() {
        return regions;
    }

    ClientInterrupts interrupts() {
        return interrupts;
    }

    ClientMemory memory() {
        return memory;
    }

    Mdev mdev() {
        return assignment.mdev();
    }

    /// After a write to configuration space. A device that was restored while idle continues as
    /// soon as it may reach the guest.
    void configWritten() {
        if (!mastered && function.config().isBusMaster()) {
            mastered = true;
            mdev().resumeRestored();
        }
    }

    Optional<Refusal> reset() {
        return assignment.reset();
    }

    /// Removes a range from the device's memory, after its driver has let go of it.
    void unmap(DmaMap map) {
        GfnRange gfns = map.gfns();
        dma.refusePins(gfns);
        try {
            releasePins(gfns);
            memory.unmap(map);
        } finally {
            dma.allowPins(gfns);
        }
    }

    private void releasePins(GfnRange gfns) {
        if (dma.hasPins(gfns)) {
            mdev().dmaUnmapped(
                            Page.addressOf(gfns.firstGfn()),
                            Math.min(Page.bytesOf(gfns.npages()), GuestAccess.Span.GPA_LIMIT));
            dma.unpin(gfns);
        }
    }

    /// Takes the device from the client, and resets it.
    @Override
    public void close() {
        try {
            interrupts.close();
            dma.refusePins(ALL);
            if (dma.hasPins(ALL)) {
                mdev().dmaUnmapped(0, GuestAccess.Span.GPA_LIMIT);
            }
            dma.close();
            regions.close();
        } finally {
            try {
                assignment.close();
            } finally {
                memory.close();
                bars.close();
            }
        }
    }

    /// The client configures the function, and its guest plays firmware.
    private static final class Owner implements PciFunction.Owner {
        @Override
        public void windowsChanged() {}

        @Override
        public long gpaLimit() {
            return GuestAccess.Span.GPA_LIMIT;
        }
    }

    private final class BusGate implements DmaWindow.Gate {
        @Override
        public boolean isOpen() {
            return function.config().isBusMaster();
        }

        @Override
        public void aborted() {
            function.config().raiseStatus(PciConfigSpace.RECEIVED_MASTER_ABORT);
        }
    }

    /// A page that is pinned for writing counts as dirty the whole time.
    private final class PinMarks implements SlotListener {
        @Override
        public void prepare(SlotChange change) {}

        @Override
        public void flush(Memslot invalid) {
            dma.unpin(invalid.gfns());
        }

        @Override
        public void commit(SlotChange change) {
            Memslot slot = change.newSlot();
            if (slot != null && slot.logsDirty()) {
                dma.markPinned(slot.gfns());
            }
        }

        @Override
        public void beforeHarvest(Memslot slot) {
            dma.markPinned(slot.gfns());
        }
    }
}
