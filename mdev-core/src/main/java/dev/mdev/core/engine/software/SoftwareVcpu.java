package dev.mdev.core.engine.software;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.dirty.DirtyRing;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.guestmem.AccessOutcome;
import dev.mdev.core.guestmem.HostMemoryAccess;
import dev.mdev.core.guestmem.VcpuMemoryAccess;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.mmu.AccessGate;
import dev.mdev.core.mmu.FaultOutcome;
import dev.mdev.core.mmu.Stage2Mmu;
import dev.mdev.core.mmu.Tlb;
import dev.mdev.core.x86.SmmState;
import dev.mdev.core.x86.SystemManagementMode;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;

/// A virtual processor in Java.
///
/// An access in one page that hits the TLB completes at once. Any other access is split into at
/// most two pieces at the page boundary, and takes one of two ways:
///
/// - As a processor does it: both pages are translated before the first byte moves. If one fails,
///   nothing is stored.
/// - If a page is not memory, as Linux's instruction emulator does it: pieces with memory behind
///   them complete at once, in order; then pieces without memory become MMIO exits, in order. So a
///   store that crosses from a hole into memory has its memory half stored when the exit for the
///   hole appears, and failing memory beside a hole is one more exit instead of a failure.
public final class SoftwareVcpu implements VcpuEngine {
    private static final GuestAccess NOTHING =
            new GuestAccess.Store(new GuestAccess.Span(0, 1, 0, 0), 0, 0);

    private final VcpuMemslots slots;
    private final Stage2Mmu mmu;
    private final AccessGate.Seat seat;
    private final Tlb tlb = new Tlb();
    private final VcpuMemoryAccess accessor;
    private final SystemManagementMode smm;
    private final @Nullable DirtyRing ring;

    private GuestAccess access = NOTHING;
    private long completed;

    /// The pieces of an access in progress, or null between accesses.
    private @Nullable Pieces pieces;

    private volatile boolean kicked;

    /// @param ring its dirty ring, or null
    SoftwareVcpu(
            VcpuMemslots slots, Stage2Mmu mmu, HostMemoryAccess host, @Nullable DirtyRing ring) {
        this.slots = slots;
        this.ring = ring;
        this.accessor = new VcpuMemoryAccess(slots, host);
        this.smm = new SystemManagementMode(slots, host, new SoftwareRegisters(tlb::flush));
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

    /// The slots as this processor sees them; for its thread, between runs.
    public VcpuMemslots memslots() {
        return slots;
    }

    /// Its system management mode; for its thread, between runs.
    public SystemManagementMode smm() {
        return smm;
    }

    /// Reads and writes guest memory as this processor's microcode does; for its thread, between
    /// runs.
    public VcpuMemoryAccess accessor() {
        return accessor;
    }

    @Override
    public VcpuExit run() {
        slots.spaces().requireAlive();
        seat.enter();
        try {
            VcpuExit rest = restOfEmulation();
            if (rest != null) {
                return rest;
            }
            if (ringIsFull()) {
                return kicked ? interrupted() : new VcpuExit.DirtyRingFull();
            }
            enterSmmIfRequested();
            return switch (access) {
                case GuestAccess.Load load -> runLoad(load);
                case GuestAccess.Store store -> runStore(store);
            };
        } finally {
            seat.leave();
        }
    }

    /// The next MMIO exit of an access that is being emulated: it comes before all checks at guest
    /// entry (Linux `complete_emulated_mmio`).
    private @Nullable VcpuExit restOfEmulation() {
        Pieces current = pieces;
        return current != null && current.nextUntried() < 0 && current.nextMmio()
                ? current.mmioExit(access.access())
                : null;
    }

    @Override
    public VcpuExit smi() {
        smm.request();
        submit(NOTHING);
        return run();
    }

    @Override
    public VcpuExit rsm() {
        slots.spaces().requireAlive();
        submit(NOTHING);
        if (slots.isInSmm() && ringIsFull()) {
            return kicked ? interrupted() : new VcpuExit.DirtyRingFull();
        }
        return switch (smm.resume()) {
            case RESUMED -> {
                // An interrupt that waits comes at once; what keeps it away, the next run reports.
                var _ = run();
                yield new VcpuExit.Done();
            }
            case INVALID_OPCODE ->
                    rsmFault(Errno.EINVAL, "RSM outside system management mode: invalid opcode");
            case UNHANDLEABLE ->
                    slots.isInSmm()
                            ? rsmFault(Errno.EFAULT, "RSM: the saved state cannot be read")
                            : rsmFault(Errno.EIO, "RSM: the saved state cannot be loaded");
        };
    }

    private VcpuExit rsmFault(Errno errno, String reason) {
        return new VcpuExit.Fault(
                smm.smbase() + SmmState.OFFSET_FROM_SMBASE,
                Access.READ,
                new Refusal(errno, reason));
    }

    private void enterSmmIfRequested() {
        if (!smm.isRequested() || slots.isInSmm()) {
            return;
        }
        // Memory may have to be faulted in.
        seat.stepOut();
        try {
            var _ = smm.enterIfRequested();
        } finally {
            seat.enter();
        }
    }

    @Override
    public boolean isInSmm() {
        return slots.isInSmm();
    }

    @Override
    public int asId() {
        return slots.asId();
    }

    @Override
    public void setSmbase(long smbase) {
        smm.setSmbase(smbase);
    }

    @Override
    public long smbase() {
        return smm.smbase();
    }

    @Override
    public boolean isSmiWaiting() {
        return smm.isRequested();
    }

    private VcpuExit runLoad(GuestAccess.Load load) {
        GuestAccess.Span span = load.span();
        int width = span.widthBytes();
        while (completed < span.count()) {
            if (kicked) {
                return interrupted();
            }
            long gpa = span.gpaAt(completed);
            int entry = pieces == null ? translated(gpa, width, Access.READ) : -1;
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
            int entry = pieces == null ? translated(gpa, width, Access.WRITE) : -1;
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

    /// Checks the gate, then looks for a translation that serves the whole access: in the TLB, then
    /// in the tables. Neither allocates.
    ///
    /// @return the TLB's entry, or negative
    private int translated(long gpa, int widthBytes, Access kind) {
        lookAtGate();
        if (Page.offsetOf(gpa) > Page.SIZE - widthBytes) {
            return -1;
        }
        long gfn = Page.numberOf(gpa);
        int entry = find(gfn, kind);
        return entry >= 0 ? entry : mmu.translate(slots, gfn, kind, tlb);
    }

    private void lookAtGate() {
        while (seat.flushRequested()) {
            seat.acknowledgeAfter(tlb::flush);
        }
    }

    private int find(long gfn, Access kind) {
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

    /// Continues an access.
    ///
    /// @return an exit, or null when the access is finished
    private @Nullable VcpuExit step(Pieces current, Access kind) {
        if (current.nextUntried() >= 0) {
            VcpuExit exit = current.isEmulated() ? null : executed(current, kind);
            if (exit == null && current.isEmulated()) {
                exit = emulated(current, kind);
            }
            if (exit != null) {
                return exit;
            }
        }
        return current.nextMmio() ? current.mmioExit(kind) : null;
    }

    /// Does an access as a processor does: all of its pages are translated, and their rights
    /// checked, before the first byte moves. If one of them is not memory, or is watched, the
    /// access has no effect yet and must be emulated.
    ///
    /// The gate is checked once for all pages. So all translations stay valid until the last byte
    /// has moved: a thread that revokes one waits for this processor.
    private @Nullable VcpuExit executed(Pieces current, Access kind) {
        while (true) {
            if (kicked) {
                return interrupted();
            }
            lookAtGate();
            int missing = pieceWithoutTranslation(current, kind);
            if (missing < 0) {
                for (int piece = 0; piece < current.count(); piece++) {
                    long gpa = current.gpa(piece);
                    int entry = find(Page.numberOf(gpa), kind);
                    current.access(piece, kind, tlb.memory(entry), tlb.offset(entry, gpa));
                }
                return null;
            }
            long gpa = current.gpa(missing);
            FaultOutcome outcome = faultOutside(Page.numberOf(gpa), kind);
            if (ringIsFull()) {
                // The fault may have logged a page: the guest may be entered again only after a
                // reset.
                return new VcpuExit.DirtyRingFull();
            }
            switch (outcome) {
                case FaultOutcome.Retry _ -> {}
                case FaultOutcome.Mmio _ -> {
                    current.markMmio(missing);
                    current.emulate();
                    return null;
                }
                case FaultOutcome.Emulated _ -> {
                    current.emulate();
                    return null;
                }
                case FaultOutcome.Failed failed -> {
                    // As KVM_RUN: a fault that a signal interrupted does not count as a fault.
                    return failed.refusal().errno() == Errno.EINTR
                            ? interrupted()
                            : new VcpuExit.Fault(gpa, kind, failed.refusal());
                }
            }
        }
    }

    /// The first piece whose page is neither in the TLB nor in the tables, or negative. Adjacent
    /// pages do not evict each other from the TLB.
    private int pieceWithoutTranslation(Pieces current, Access kind) {
        for (int piece = 0; piece < current.count(); piece++) {
            long gfn = Page.numberOf(current.gpa(piece));
            if (find(gfn, kind) < 0 && mmu.translate(slots, gfn, kind, tlb) < 0) {
                return piece;
            }
        }
        return -1;
    }

    /// Does an access in the processor's place (Linux `emulator_read_write`): each piece that
    /// memory can serve completes at once, in order, and is logged; every other piece becomes an
    /// MMIO exit, for any reason.
    private @Nullable VcpuExit emulated(Pieces current, Access kind) {
        for (int piece = current.nextUntried(); piece >= 0; piece = current.nextUntried()) {
            if (kicked) {
                return interrupted();
            }
            // Memory may have to be faulted in.
            seat.stepOut();
            boolean stored;
            try {
                stored = emulate(current, piece, kind);
            } finally {
                seat.enter();
            }
            if (stored) {
                tellWatches(current, piece);
            }
        }
        return null;
    }

    /// Outside: a driver may be told, and takes as long as it takes.
    private void tellWatches(Pieces current, int piece) {
        seat.leave();
        try {
            mmu.emulatedWrite(
                    slots, current.gpa(piece), current.bytes(piece), current.storedValue(piece));
        } finally {
            seat.enter();
        }
    }

    /// @return whether a piece was stored
    private boolean emulate(Pieces current, int piece, Access kind) {
        long gpa = current.gpa(piece);
        MemorySegment bytes =
                kind == Access.WRITE
                        ? current.stored(piece)
                        : MemorySegment.ofArray(new byte[current.bytes(piece)]);
        AccessOutcome outcome =
                kind == Access.WRITE ? accessor.write(gpa, bytes) : accessor.read(gpa, bytes);
        if (outcome.isOk()) {
            if (kind == Access.WRITE) {
                current.markDone(piece);
                return true;
            } else {
                current.addLoaded(piece, bytes);
            }
        } else if (!isChanging(Page.numberOf(gpa))) {
            current.markMmio(piece);
        }
        return false;
    }

    /// Whether the frame's slot is being deleted or moved, so that the memory is neither present
    /// nor absent.
    private boolean isChanging(long gfn) {
        int section = slots.spaces().srcu().readLock();
        try {
            Memslot slot = slots.find(gfn);
            return slot != null && slot.isInvalid();
        } finally {
            slots.spaces().srcu().readUnlock(section);
        }
    }

    private boolean ringIsFull() {
        return ring != null && ring.mustExit();
    }

    /// A fault may take as long as a driver takes; meanwhile a flush does not wait for this vCPU.
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
