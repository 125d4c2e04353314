package dev.mdev.core.mmu;

import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;

import java.util.function.BooleanSupplier;

/// How slot changes affect the tables.
///
/// A creation does nothing: cached absence is stale by its generation. A removal drops the mappings
/// of the slot's frames. A change of logging keeps mappings and changes their rights.
final class MmuSlotListener implements SlotListener {
    private final Stage2Roots roots;
    private final WriteTracking tracking;
    private final MappingLevel levels;
    private final MmuRules rules;
    private final int addressSpaces;
    private volatile BooleanSupplier protectOnLogStart = () -> true;

    MmuSlotListener(
            Stage2Roots roots,
            WriteTracking tracking,
            MappingLevel levels,
            MmuRules rules,
            int addressSpaces) {
        this.roots = roots;
        this.tracking = tracking;
        this.levels = levels;
        this.rules = rules;
        this.addressSpaces = addressSpaces;
    }

    void setProtectOnLogStart(BooleanSupplier protect) {
        protectOnLogStart = protect;
    }

    @Override
    public void prepare(SlotChange change) {}

    @Override
    public void flush(Memslot invalid) {
        if (rules.zapAllOnRemoval()) {
            roots.changeAndFlush(this::zapEverything);
        } else {
            roots.changeAndFlush(invalid, invalid.gfns(), Stage2Table.Change.ZAP);
        }
    }

    @SuppressWarnings("GuardedBy") // called by changeAndFlush, with the lock held
    private boolean zapEverything() {
        return roots.zapEverythingLocked();
    }

    @Override
    public void commit(SlotChange change) {
        Memslot before = change.oldSlot();
        Memslot after = change.newSlot();
        switch (change.kind()) {
            case CREATE -> {}
            case DELETE, MOVE -> {
                if (before != null) {
                    tracking.forget(before);
                }
            }
            case FLAGS_ONLY -> {
                if (before != null && after != null) {
                    loggingChanged(before, after);
                }
            }
        }
    }

    private void loggingChanged(Memslot before, Memslot after) {
        if (after.logsDirty() && !before.logsDirty()) {
            if (!protectOnLogStart.getAsBoolean()) {
                return;
            }
            roots.changeAndFlush(after, after.gfns(), Stage2Table.Change.WRITE_PROTECT);
        } else if (before.logsDirty() && !after.logsDirty()) {
            roots.changeAndFlush(() -> zapWhereLargerFits(after));
        }
    }

    /// Drops the small leaves that logging made, where large ones can return; the others stay
    /// (Linux `kvm_mmu_zap_collapsible_sptes`).
    @SuppressWarnings("GuardedBy") // called by changeAndFlush, with the lock held
    private boolean zapWhereLargerFits(Memslot slot) {
        long npages = Stage2Table.pagesPerLeaf(Stage2Table.LEVEL_2M);
        boolean any = false;
        long first = (slot.baseGfn() + npages - 1) & -npages;
        for (long gfn = first; gfn + npages <= slot.endGfn(); gfn += npages) {
            int largest = levels.of(slot, gfn);
            if (largest > Stage2Table.LEVEL_4K) {
                any |=
                        roots.changeLocked(
                                slot,
                                new GfnRange(gfn, npages),
                                Stage2Table.Change.zapBelow(largest));
            }
        }
        return any;
    }

    @Override
    public void generationChanged(int asId, long generation) {
        long lowBits = generation & ((1L << Stage2Entry.GENERATION_BITS) - 1);
        if (lowBits < addressSpaces) {
            // The generation bits in entries for absent memory wrap: no entry may live to see its
            // own bits again (Linux `kvm_mmu_invalidate_mmio_sptes`).
            roots.changeAndFlush(this::zapEverything);
        }
    }
}
