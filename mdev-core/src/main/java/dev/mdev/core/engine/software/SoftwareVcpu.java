package dev.mdev.core.engine.software;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.memslot.AccessOutcome;
import dev.mdev.core.memslot.DirtyRing;
import dev.mdev.core.memslot.HostMemoryAccess;
import dev.mdev.core.memslot.VcpuMemoryAccess;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.mmu.AccessGate;
import dev.mdev.core.mmu.FaultOutcome;
import dev.mdev.core.mmu.Stage2Mmu;
import dev.mdev.core.mmu.Tlb;

import org.jspecify.annotations.Nullable;

/// A virtual processor in Java.
///
/// An access that stays in one page and hits the TLB is done at once. Everything else goes the way
/// of Linux's instruction emulator: the access is cut into at most two pieces at the page boundary;
/// pieces with memory behind them are done at once, in order; pieces without become MMIO exits, in
/// order, after that. So a store that crosses from a hole into memory has its memory half stored
/// when the exit for the hole is seen.
public final class SoftwareVcpu implements VcpuEngine {
    private static final GuestAccess NOTHING =
            new GuestAccess.Store(new GuestAccess.Span(0, 1, 0, 0), 0, 0);

    private final VcpuMemslots slots;
    private final Stage2Mmu mmu;
    private final AccessGate.Seat seat;
    private final Tlb tlb = new Tlb();
    private final VcpuMemoryAccess accessor;
    private final @Nullable DirtyRing ring;

    /// Whether the TLB was filled in system management mode.
    private boolean tlbOfSmm;

    private GuestAccess access = NOTHING;
    private long completed;

    /// The pieces of an access that is under way, or null between accesses.
    private @Nullable Pieces pieces;

    private volatile boolean kicked;

    /// @param ring its dirty ring, or null
    SoftwareVcpu(
            VcpuMemslots slots, Stage2Mmu mmu, HostMemoryAccess host, @Nullable DirtyRing ring) {
        this.slots = slots;
        this.ring = ring;
        this.accessor = new VcpuMemoryAccess(slots, host);
        this.mmu = mmu;
        this.seat = mmu.gate().newSeat();
    }

    @Override
    public void submit(GuestAccess next) {
        access = next;
        completed = 0;
        pieces = null;
    }

    @Override
    public long completed() {
        return completed;
    }

    @Override
    public void kick() {
        kicked = true;
    }

    @Override
    public void close() {
        mmu.gate().remove(seat);
    }

    /// The slots as this processor sees them; to be used by its thread, between runs.
    public VcpuMemslots memslots() {
        return slots;
    }

    /// Reads and writes guest memory as this processor's microcode does; to be used by its thread,
    /// between runs.
    public VcpuMemoryAccess accessor() {
        return accessor;
    }

    @Override
    public VcpuExit run() {
        seat.enter();
        try {
            if (ringIsFull()) {
                return kicked ? interrupted() : new VcpuExit.DirtyRingFull();
            }
            if (tlbOfSmm != slots.isInSmm()) {
                tlb.flush();
                tlbOfSmm = slots.isInSmm();
            }
            return switch (access) {
                case GuestAccess.Load load -> runLoad(load);
                case GuestAccess.Store store -> runStore(store);
            };
        } finally {
            seat.leave();
        }
    }

    private VcpuExit runLoad(GuestAccess.Load load) {
        GuestAccess.Span span = load.span();
        int width = span.widthBytes();
        while (completed < span.count()) {
            if (kicked) {
                return interrupted();
            }
            long gpa = span.gpaAt(completed);
            int entry = pieces == null ? cached(gpa, width, Access.READ) : -1;
            long value;
            if (entry >= 0) {
                value = GuestBytes.load(tlb.memory(entry), tlb.offset(entry, gpa), width);
            } else {
                Pieces current = piecesAt(gpa, width, 0);
                VcpuExit exit = step(current, Access.READ);
                if (exit != null) {
                    return exit;
                }
                value = current.value();
                pieces = null;
            }
            load.sink().accept(completed, value);
            completed++;
        }
        return new VcpuExit.Done();
    }

    private VcpuExit runStore(GuestAccess.Store store) {
        GuestAccess.Span span = store.span();
        int width = span.widthBytes();
        while (completed < span.count()) {
            if (kicked) {
                return interrupted();
            }
            long gpa = span.gpaAt(completed);
            long value = store.valueAt(completed);
            int entry = pieces == null ? cached(gpa, width, Access.WRITE) : -1;
            if (entry >= 0) {
                GuestBytes.store(tlb.memory(entry), tlb.offset(entry, gpa), width, value);
            } else {
                VcpuExit exit = step(piecesAt(gpa, width, value), Access.WRITE);
                if (exit != null) {
                    return exit;
                }
                pieces = null;
            }
            completed++;
        }
        return new VcpuExit.Done();
    }

    private VcpuExit interrupted() {
        kicked = false;
        return new VcpuExit.Interrupted();
    }

    /// Looks at the gate, then for a translation that serves the whole access.
    ///
    /// @return the TLB's entry, or negative
    private int cached(long gpa, int widthBytes, Access kind) {
        if (seat.flushRequested()) {
            seat.acknowledgeAfter(tlb::flush);
        }
        if (Page.offsetOf(gpa) > Page.SIZE - widthBytes) {
            return -1;
        }
        long gfn = Page.numberOf(gpa);
        return kind == Access.READ ? tlb.findForRead(gfn) : tlb.findForWrite(gfn);
    }

    private Pieces piecesAt(long gpa, int widthBytes, long value) {
        Pieces current = pieces;
        if (current == null) {
            current = new Pieces(gpa, widthBytes, value);
            pieces = current;
        }
        return current;
    }

    /// Goes on with an access.
    ///
    /// @return an exit, or null when the access is finished
    private @Nullable VcpuExit step(Pieces current, Access kind) {
        while (current.hasMemoryPiece()) {
            VcpuExit exit = memoryPiece(current, kind);
            if (exit != null) {
                return exit;
            }
        }
        return current.nextMmio() ? current.mmioExit(kind) : null;
    }

    /// Does a piece in memory, or finds that it has none behind it.
    private @Nullable VcpuExit memoryPiece(Pieces current, Access kind) {
        long gpa = current.memoryGpa();
        long gfn = Page.numberOf(gpa);
        while (true) {
            if (kicked) {
                return interrupted();
            }
            int entry = cached(gpa, 1, kind);
            if (entry < 0) {
                entry = mmu.translate(slots, gfn, kind, tlb);
            }
            if (entry >= 0) {
                current.access(kind, tlb.memory(entry), tlb.offset(entry, gpa));
                return null;
            }
            FaultOutcome outcome = faultOutside(gfn, kind);
            if (ringIsFull()) {
                // The fault may have logged a page: the guest is entered again after a reset only.
                return new VcpuExit.DirtyRingFull();
            }
            switch (outcome) {
                case FaultOutcome.Retry _ -> {}
                case FaultOutcome.Mmio _ -> {
                    current.markMmio();
                    return null;
                }
                case FaultOutcome.Tracked _ -> {
                    int width = current.memoryBytes();
                    if (accessor.write(gpa, current.memoryPiece()) instanceof AccessOutcome.Ok) {
                        current.skipMemory();
                        mmu.tracking().written(gpa, width);
                        return null;
                    }
                    // The page went away in between: look again.
                }
                case FaultOutcome.Failed failed -> {
                    // As KVM_RUN: a fault that a signal interrupted is no fault.
                    return failed.errno() == Errno.EINTR
                            ? interrupted()
                            : new VcpuExit.Fault(gpa, kind, failed.errno(), failed.reason());
                }
            }
        }
    }

    private boolean ringIsFull() {
        return ring != null && ring.mustExit();
    }

    /// A fault may take as long as a driver takes: nobody who flushes waits for this vCPU
    /// meanwhile.
    private FaultOutcome faultOutside(long gfn, Access kind) {
        seat.leave();
        try {
            return mmu.fault(slots, gfn, kind);
        } finally {
            seat.enter();
        }
    }

    @Override
    public void completeMmioRead(long value) {
        Pieces current = pieces;
        if (current == null) {
            throw new IllegalStateException("no load waits for a value");
        }
        current.completeRead(value);
    }
}
