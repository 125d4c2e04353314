package dev.mdev.core.mmu;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPte;
import dev.mdev.core.hostmm.MmuNotifier;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.memslot.VcpuMemslots;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/// The stage-2 tables of one virtual machine, one an address space, and the fault that fills them
/// (Linux `arch/x86/kvm/mmu/mmu.c`, two-dimensional paging).
///
/// All methods may be called by any thread unless said otherwise.
public final class Stage2Mmu {
    private final AddressSpaces slots;
    private final HostMm mm;
    private final AccessGate gate = new AccessGate();
    private final Stage2Table[] roots;

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final InvalidateSeq invalidations = new InvalidateSeq();

    /// Flushes that somebody waits for: incremented under `lock` with the change of the table.
    ///
    /// Whoever finds nothing left to change may not return while another's flush of that very
    /// change is under way: its caller relies on the old translation being gone, and must wait as
    /// well.
    private final AtomicInteger flushesUnderWay = new AtomicInteger();

    private final boolean zapAllOnRemoval;

    /// Follows the slots and the host address space from here on.
    ///
    /// @param zapAllOnRemoval whether deleting or moving a slot drops the mappings of all slots, as
    ///   Linux does by default on x86 (`KVM_X86_QUIRK_SLOT_ZAP_ALL`)
    public Stage2Mmu(AddressSpaces slots, HostMm mm, boolean zapAllOnRemoval) {
        this.slots = slots;
        this.mm = mm;
        this.zapAllOnRemoval = zapAllOnRemoval;
        roots = new Stage2Table[slots.config().addressSpaces()];
        for (int asId = 0; asId < roots.length; asId++) {
            roots[asId] = new Stage2Table();
        }
        slots.addListener(new Slots());
        mm.addNotifier(new Notifier());
    }

    public AccessGate gate() {
        return gate;
    }

    /// Puts the translation of a frame into a vCPU's TLB, if the tables have one that allows the
    /// access. Takes no lock; the vCPU is inside the gate.
    ///
    /// @return the TLB's entry, or negative if there is a fault to be made
    public int translate(int asId, long gfn, Access access, Tlb tlb) {
        long entry = roots[asId].walk(gfn);
        if (!Stage2Entry.isPresent(entry)
                || (access == Access.WRITE && !Stage2Entry.isWritable(entry))) {
            return -1;
        }
        long pfn = Stage2Entry.pfn(entry);
        HostMemory.Block block = mm.memory().blockOf(pfn);
        return tlb.fill(gfn, Stage2Entry.isWritable(entry), block.segment(), block.offsetOf(pfn));
    }

    /// Makes a frame accessible, or says what else to do. The vCPU is outside the gate, holds no
    /// lock, and is in no read section.
    ///
    /// The read section of the slots is left while the host page is resolved, which may take as
    /// long as a driver takes: a change of slots does not wait for it. What Linux gets from keeping
    /// the section, this gets by looking again, under the lock, whether the slot is still the one
    /// published.
    public FaultOutcome fault(VcpuMemslots vcpu, long gfn, Access access) {
        int asId;
        Memslot slot;
        long seq;
        int section = slots.srcu().readLock();
        try {
            asId = vcpu.asId();
            seq = readSequence();
            slot = vcpu.find(gfn);
        } finally {
            slots.srcu().readUnlock(section);
        }
        if (slot == null) {
            return new FaultOutcome.Mmio();
        }
        if (slot.isInvalid()) {
            // A deletion or a move is under way: neither the old memory nor none.
            Thread.onSpinWait();
            return new FaultOutcome.Retry();
        }
        if (slot.isReadonly() && access == Access.WRITE) {
            return new FaultOutcome.Mmio();
        }
        return switch (mm.handleFault(slot.hvaOf(gfn), access)) {
            case FaultResult.Mapped mapped -> {
                publish(new Found(asId, slot, gfn, mapped.pte()), access, seq, vcpu.vcpuId());
                yield new FaultOutcome.Retry();
            }
            case FaultResult.Trapped _ -> new FaultOutcome.Mmio();
            case FaultResult.Failed failed ->
                    new FaultOutcome.Failed(failed.errno(), failed.reason());
        };
    }

    private long readSequence() {
        lock.lock();
        try {
            return invalidations.read();
        } finally {
            lock.unlock();
        }
    }

    /// What a fault found.
    private record Found(int asId, Memslot slot, long gfn, long pte) {}

    private void publish(Found found, Access access, long seq, int vcpuId) {
        int section = slots.srcu().readLock();
        lock.lock();
        try {
            if (invalidations.mustRetryLocked(seq, found.gfn)
                    || !HostPte.isPresent(found.pte)
                    || publishedSlot(found) != found.slot) {
                return;
            }
            boolean mayWrite = HostPte.prot(found.pte).allows(Access.WRITE);
            boolean logs = found.slot.logsDirty();
            // On a slot that logs, the right to write is the log's trap: only a write earns it.
            boolean writable =
                    mayWrite && !found.slot.isReadonly() && (!logs || access == Access.WRITE);
            if (writable) {
                slots.markDirty(found.slot, found.gfn, vcpuId);
            }
            roots[found.asId].installLocked(
                    Stage2Table.LEVEL_4K,
                    found.gfn,
                    Stage2Entry.of(HostPte.pfn(found.pte), writable));
        } finally {
            lock.unlock();
            slots.srcu().readUnlock(section);
        }
    }

    private @Nullable Memslot publishedSlot(Found found) {
        return slots.active(found.asId).byId(found.slot.id());
    }

    /// Takes the right to write from pages of a slot, so that the next write to each is logged
    /// again, and returns when no vCPU still has it.
    ///
    /// @param firstPage index within the slot
    /// @param npages pages, at least 1
    public void writeProtect(Memslot slot, long firstPage, long npages) {
        GfnRange frames = new GfnRange(slot.baseGfn() + firstPage, npages);
        changeAndFlush(() -> roots[slot.asId()].writeProtectLocked(frames));
    }

    /// Runs a change of the tables under the lock, and returns when no vCPU uses what it dropped.
    private void changeAndFlush(BooleanSupplier changeLocked) {
        boolean changed;
        boolean mustFlush;
        lock.lock();
        try {
            changed = changeLocked.getAsBoolean();
            if (changed) {
                flushesUnderWay.incrementAndGet();
            }
            mustFlush = flushesUnderWay.get() > 0;
        } finally {
            lock.unlock();
        }
        if (mustFlush) {
            gate.flush();
        }
        if (changed) {
            flushesUnderWay.decrementAndGet();
        }
    }

    /// How many leaves of each size map guest frames, over all address spaces.
    ///
    /// @param level 1 for 4 KiB, 2 for 2 MiB, 3 for 1 GiB
    public long leaves(int level) {
        lock.lock();
        try {
            long sum = 0;
            for (Stage2Table root : roots) {
                sum += root.leavesLocked(level);
            }
            return sum;
        } finally {
            lock.unlock();
        }
    }

    private static GfnRange framesOf(Memslot slot) {
        return new GfnRange(slot.baseGfn(), slot.npages());
    }

    /// What slot changes do to the tables.
    private final class Slots implements SlotListener {
        @Override
        public void prepare(SlotChange change) {}

        @Override
        public void flush(Memslot invalid) {
            changeAndFlush(() -> zapAllOnRemoval ? zapEverything() : zapSlot(invalid));
        }

        private boolean zapEverything() {
            boolean any = false;
            for (Stage2Table root : roots) {
                any |= root.zapAllLocked();
            }
            return any;
        }

        private boolean zapSlot(Memslot slot) {
            return roots[slot.asId()].zapLocked(framesOf(slot));
        }

        @Override
        public void commit(SlotChange change) {
            Memslot before = change.oldSlot();
            Memslot after = change.newSlot();
            if (change.kind() != SlotChange.Kind.FLAGS_ONLY || before == null || after == null) {
                return;
            }
            if (after.logsDirty() && !before.logsDirty()) {
                writeProtect(after, 0, after.npages());
            }
        }
    }

    /// What changes of host entries do to the tables.
    private final class Notifier implements MmuNotifier {
        @Override
        public void invalidateStart(HvaRange range) {
            slots.invalidateBegin();
            List<Memslot> hit = slotsIn(range);
            if (hit.isEmpty()) {
                return;
            }
            changeAndFlush(() -> beginAndZap(hit, range));
        }

        @SuppressWarnings("GuardedBy") // called by changeAndFlush, with the lock held
        private boolean beginAndZap(List<Memslot> hit, HvaRange range) {
            boolean any = false;
            invalidations.beginLocked();
            for (Memslot slot : hit) {
                GfnRange frames = framesBehind(slot, range);
                invalidations.addLocked(frames.firstGfn(), frames.endGfn());
                any |= roots[slot.asId()].zapLocked(frames);
            }
            return any;
        }

        @Override
        public void invalidateEnd(HvaRange range) {
            // The slots are those of the start: none are published in between.
            if (!slotsIn(range).isEmpty()) {
                lock.lock();
                try {
                    invalidations.endLocked();
                } finally {
                    lock.unlock();
                }
            }
            slots.invalidateEnd();
        }

        private List<Memslot> slotsIn(HvaRange range) {
            List<Memslot> hit = new ArrayList<>();
            slots.forEachIn(range, hit::add);
            return hit;
        }

        private GfnRange framesBehind(Memslot slot, HvaRange range) {
            long start = Math.max(range.startHva(), slot.hva());
            long end = Math.min(range.endHva(), slot.hva() + Page.bytesOf(slot.npages()));
            return new GfnRange(slot.gfnOf(start), Page.numberOf(end - start));
        }
    }
}
