package dev.mdev.core.mmu;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.dirty.DirtyProtector;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPte;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.MemslotSet;
import dev.mdev.core.memslot.VcpuMemslots;

import java.util.function.BooleanSupplier;

/// The second-stage MMU of one machine: the fault that fills its tables, and the changes that empty
/// them again (Linux `arch/x86/kvm/mmu/mmu.c`).
///
/// Any thread may call all methods unless stated otherwise.
public final class Stage2Mmu {
    /// Beyond this number of nodes in a root, the MMU stops caching absence: a guest that touches
    /// every hole of its address space must not fill the host's memory with tables.
    private static final int MAX_NODES_FOR_MMIO = 1 << 14;

    private final AddressSpaces slots;
    private final HostMm mm;
    private final MmuRules rules;
    private final Stage2Roots roots;
    private final WriteTracking tracking = new WriteTracking();
    private final MappingLevel levels;
    private final MmuSlotListener slotListener;
    private final DirtyProtector dirtyProtector;

    /// Follows the slots and the host address space from here on.
    public Stage2Mmu(AddressSpaces slots, HostMm mm, MmuRules rules) {
        this.slots = slots;
        this.mm = mm;
        this.rules = rules;
        roots = new Stage2Roots(slots.config());
        levels = new MappingLevel(mm, tracking);
        slotListener =
                new MmuSlotListener(roots, tracking, levels, rules, slots.config().addressSpaces());
        dirtyProtector = new MmuDirtyProtector(roots);
        slots.addListener(slotListener);
        mm.addNotifier(new MmuHostNotifier(slots, roots));
    }

    public AccessGate gate() {
        return roots.gate();
    }

    /// The protector that the dirty log uses.
    public DirtyProtector dirtyProtector() {
        return dirtyProtector;
    }

    /// Sets when a slot that starts to log is write-protected at once; by default always.
    public void setProtectOnLogStart(BooleanSupplier protect) {
        slotListener.setProtectOnLogStart(protect);
    }

    /// The trackers of writes to watched pages.
    public WriteTracking tracking() {
        return tracking;
    }

    /// Puts the translation of a frame into a vCPU's TLB, if the tables have one that allows the
    /// access. Takes no lock; called by the vCPU's thread, inside the gate.
    ///
    /// @return the TLB's entry, or negative if the access must fault
    public int translate(VcpuMemslots vcpu, long gfn, Access access, Tlb tlb) {
        Stage2Table root = roots.of(vcpu);
        long entry = root.walk(gfn);
        if (!Stage2Entry.isPresent(entry)
                || (access == Access.WRITE && !Stage2Entry.isWritable(entry))) {
            return -1;
        }
        if (!Stage2Entry.isAccessed(entry)) {
            root.markAccessed(gfn);
        }
        long pfn = Stage2Entry.pfn(entry);
        HostMemory.Block block = mm.memory().blockOf(pfn);
        return tlb.fill(gfn, Stage2Entry.isWritable(entry), block.segment(), block.offsetOf(pfn));
    }

    /// Makes a frame accessible, or says what else to do. Called by the vCPU's thread, outside the
    /// gate and every read section, without a lock.
    ///
    /// The fault leaves the read section of the slots while it resolves the host page, which may
    /// take as long as a driver takes: a change of slots does not wait for it. Linux keeps the
    /// section; this checks again, under the lock, whether the slot is still the published one.
    public FaultOutcome fault(VcpuMemslots vcpu, long gfn, Access access) {
        Stage2Table root = roots.of(vcpu);
        if (isKnownMmio(root, vcpu, gfn)) {
            return new FaultOutcome.Mmio();
        }
        Memslot slot;
        long generation;
        long sequence;
        int section = slots.srcu().readLock();
        try {
            sequence = roots.readSequence();
            MemslotSet set = vcpu.active();
            generation = set.generation();
            slot = vcpu.find(gfn);
            if (slot != null && access == Access.WRITE && fixFast(root, slot, gfn, vcpu)) {
                return new FaultOutcome.Retry();
            }
        } finally {
            slots.srcu().readUnlock(section);
        }
        if (slot == null) {
            rememberMmio(root, gfn, generation);
            return new FaultOutcome.Mmio();
        }
        if (slot.isInvalid()) {
            // A deletion or a move is in progress: the memory is neither the old one nor absent.
            Thread.onSpinWait();
            return new FaultOutcome.Retry();
        }
        if (access == Access.WRITE && slot.isReadonly()) {
            return new FaultOutcome.Mmio();
        }
        if (access == Access.WRITE && tracking.isWatched(slot, gfn)) {
            return new FaultOutcome.Emulated();
        }
        return resolve(new Fault(root, vcpu, slot, gfn, access, sequence));
    }

    /// A fault on a page of a slot.
    private record Fault(
            Stage2Table root,
            VcpuMemslots vcpu,
            Memslot slot,
            long gfn,
            Access access,
            long sequence) {}

    private FaultOutcome resolve(Fault fault) {
        return switch (mm.handleFault(fault.slot.hvaOf(fault.gfn), fault.access)) {
            case FaultResult.Mapped mapped -> {
                if (isGuarded(mapped.pte())) {
                    yield new FaultOutcome.Emulated();
                }
                publish(fault, mapped.pte());
                yield new FaultOutcome.Retry();
            }
            case FaultResult.Trapped _ -> new FaultOutcome.Mmio();
            // A slot that is being removed loses its host memory next. The guest must then find
            // absent memory, not failing memory.
            case FaultResult.Failed failed ->
                    isPublished(fault.slot)
                            ? new FaultOutcome.Failed(failed.refusal())
                            : new FaultOutcome.Retry();
        };
    }

    /// Whether no vCPU may have the page in its TLB, because a load could be a SIGBUS.
    private boolean isGuarded(long pte) {
        return HostPte.isPresent(pte) && mm.memory().blockOf(HostPte.pfn(pte)).isGuarded();
    }

    private boolean isPublished(Memslot slot) {
        return slots.active(slot.asId()).byId(slot.id()) == slot;
    }

    private void publish(Fault fault, long pte) {
        int section = slots.srcu().readLock();
        roots.lock.lock();
        try {
            if (roots.mustRetryLocked(fault.sequence, fault.gfn)
                    || !HostPte.isPresent(pte)
                    || !isPublished(fault.slot)) {
                return;
            }
            boolean hostWritable = HostPte.prot(pte).allows(Access.WRITE);
            boolean watched = tracking.isWatched(fault.slot, fault.gfn);
            boolean mmuWritable = hostWritable && !fault.slot.isReadonly() && !watched;
            boolean writable =
                    mmuWritable && (fault.access == Access.WRITE || rules.isTwoDimensional());
            if (writable) {
                slots.markDirty(fault.slot, fault.gfn, fault.vcpu.vcpuId());
            }
            installLocked(fault, Stage2Entry.of(HostPte.pfn(pte), mmuWritable, writable));
        } finally {
            roots.lock.unlock();
            slots.srcu().readUnlock(section);
        }
    }

    /// Installs an entry, as part of the largest possible leaf.
    ///
    /// The neighbours' host entries are read here, under the lock. If one is about to be removed,
    /// its invalidation has already begun, so the leaf stays small; if one is removed later, the
    /// leaf is dropped with it.
    @SuppressWarnings("GuardedBy") // called with roots.lock held
    private void installLocked(Fault fault, long entry) {
        int level = levels.of(fault.slot, fault.gfn);
        long npages = Stage2Table.pagesPerLeaf(level);
        long index = fault.gfn & (npages - 1);
        if (level > Stage2Table.LEVEL_4K
                && !roots.isInvalidatingLocked(fault.gfn - index, npages)) {
            fault.root.installLocked(level, fault.gfn - index, Stage2Entry.atIndex(entry, -index));
        } else {
            if (rules.isTwoDimensional()) {
                fault.root.splitLocked(fault.gfn);
            }
            fault.root.installLocked(Stage2Table.LEVEL_4K, fault.gfn, entry);
        }
    }

    /// Restores write permission of a page that lost it only to the log (Linux `fast_page_fault`).
    /// Takes no lock: the entry changes by compare-and-set.
    ///
    /// First the entry, then the mark. A harvest between the two misses the page, but leaves the
    /// mark for the next harvest. In the other order, a harvest between the two would take the mark
    /// and leave a writable page without one.
    private boolean fixFast(Stage2Table root, Memslot slot, long gfn, VcpuMemslots vcpu) {
        if (slot.isInvalid()
                || slot.isReadonly()
                || tracking.isWatched(slot, gfn)
                || !root.makeWritable(gfn)) {
            return false;
        }
        slots.markDirty(slot, gfn, vcpu.vcpuId());
        return true;
    }

    /// Whether the table caches the absence of a slot, and no slot has changed since.
    private boolean isKnownMmio(Stage2Table root, VcpuMemslots vcpu, long gfn) {
        long generation = vcpu.active().generation();
        return (generation & MemslotSet.UPDATE_IN_PROGRESS) == 0
                && Stage2Entry.isMmioAt(root.walk(gfn), generation);
    }

    private void rememberMmio(Stage2Table root, long gfn, long generation) {
        if ((generation & MemslotSet.UPDATE_IN_PROGRESS) != 0 || gfn >= GfnRange.GFN_LIMIT) {
            return;
        }
        roots.lock.lock();
        try {
            // Must not replace a mapping that has appeared in the meantime.
            if (!Stage2Entry.isPresent(root.walk(gfn)) && root.nodesLocked() < MAX_NODES_FOR_MMIO) {
                root.installLocked(Stage2Table.LEVEL_4K, gfn, Stage2Entry.mmio(generation));
            }
        } finally {
            roots.lock.unlock();
        }
    }

    /// Notifies the trackers of the page, if any, that a store to it was emulated: its bytes are in
    /// memory (Linux `kvm_page_track_write`). Called by the vCPU's thread.
    ///
    /// @param gpa the first byte; all are in one page
    public void emulatedWrite(VcpuMemslots vcpu, long gpa, int widthBytes, long value) {
        boolean watched;
        int section = slots.srcu().readLock();
        try {
            Memslot slot = vcpu.find(Page.numberOf(gpa));
            watched = slot != null && tracking.isWatched(slot, Page.numberOf(gpa));
        } finally {
            slots.srcu().readUnlock(section);
        }
        if (watched) {
            tracking.written(gpa, widthBytes, value);
        }
    }

    /// Watches a page: its writes are emulated and reported to [#tracking].
    ///
    /// @param gfn a frame of the slot
    public void watchWrites(Memslot slot, long gfn) {
        if (tracking.watch(slot, gfn)) {
            roots.changeAndFlush(slot, new GfnRange(gfn, 1), Stage2Table.Change.ZAP);
        }
    }

    /// Undoes one [#watchWrites].
    public void unwatchWrites(Memslot slot, long gfn) {
        if (tracking.unwatch(slot, gfn)) {
            roots.changeAndFlush(slot, new GfnRange(gfn, 1), Stage2Table.Change.ZAP);
        }
    }

    /// Takes write permission from pages of a slot, so that the next write to each is logged again,
    /// and returns when every vCPU has given it up.
    ///
    /// @param firstPage index within the slot
    /// @param npages pages, at least 1
    public void writeProtect(Memslot slot, long firstPage, long npages) {
        roots.changeAndFlush(
                slot,
                new GfnRange(slot.baseGfn() + firstPage, npages),
                Stage2Table.Change.WRITE_PROTECT);
    }

    /// Whether a vCPU used one of the pages since the last call (Linux
    /// `kvm_mmu_notifier_clear_young`).
    public boolean clearYoung(HvaRange range) {
        boolean[] young = new boolean[1];
        slots.forEachIn(
                range,
                slot ->
                        young[0] |=
                                roots.changeAndFlush(
                                        slot,
                                        MmuHostNotifier.framesBehind(slot, range),
                                        Stage2Table.Change.AGE));
        return young[0];
    }

    /// The number of leaves of each size that map guest frames, over all roots.
    ///
    /// @param level 1 for 4 KiB, 2 for 2 MiB, 3 for 1 GiB
    public long leaves(int level) {
        return roots.leaves(level);
    }
}
