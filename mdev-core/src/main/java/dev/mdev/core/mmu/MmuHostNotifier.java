package dev.mdev.core.mmu;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.hostmm.MmuNotifier;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;

import java.util.ArrayList;
import java.util.List;

/// How changes of host entries affect the tables: every mapping of the range is dropped, in all
/// slots and address spaces (Linux `kvm_mmu_notifier_invalidate_range_start` and `_end`).
final class MmuHostNotifier implements MmuNotifier {
    private final AddressSpaces slots;
    private final Stage2Roots roots;

    MmuHostNotifier(AddressSpaces slots, Stage2Roots roots) {
        this.slots = slots;
        this.roots = roots;
    }

    @Override
    public void invalidateStart(HvaRange range) {
        slots.invalidateBegin();
        List<Memslot> hit = slotsIn(range);
        if (!hit.isEmpty()) {
            roots.changeAndFlush(() -> beginAndZap(hit, range));
        }
    }

    @SuppressWarnings("GuardedBy") // called by changeAndFlush, with the lock held
    private boolean beginAndZap(List<Memslot> hit, HvaRange range) {
        boolean any = false;
        roots.beginInvalidationLocked();
        for (Memslot slot : hit) {
            GfnRange frames = framesBehind(slot, range);
            roots.addToInvalidationLocked(frames);
            any |= roots.changeLocked(slot, frames, Stage2Table.Change.ZAP);
        }
        return any;
    }

    @Override
    public void invalidateEnd(HvaRange range) {
        // The slots are those of the start: no set is published in between.
        if (!slotsIn(range).isEmpty()) {
            roots.endInvalidation();
        }
        slots.invalidateEnd();
    }

    private List<Memslot> slotsIn(HvaRange range) {
        List<Memslot> hit = new ArrayList<>();
        slots.forEachIn(range, hit::add);
        return hit;
    }

    static GfnRange framesBehind(Memslot slot, HvaRange range) {
        long start = Math.max(range.startHva(), slot.hva());
        long end = Math.min(range.endHva(), slot.hvas().endHva());
        return new GfnRange(slot.gfnOf(start), Page.numberOf(end - start));
    }
}
