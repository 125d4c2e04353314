package dev.mdev.core.engine.software;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.dma.WriteWatches;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.mmu.Stage2Mmu;

import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;

/// Watches of guest frames in the first address space, which devices use. The MMU watches pages of
/// slots; this follows the slots.
final class SoftwareWatches implements WriteWatches, SlotListener {
    private final AddressSpaces slots;
    private final Stage2Mmu mmu;

    /// Changed under the slots lock.
    private final CopyOnWriteArrayList<Frames> watches = new CopyOnWriteArrayList<>();

    SoftwareWatches(AddressSpaces slots, Stage2Mmu mmu) {
        this.slots = slots;
        this.mmu = mmu;
        mmu.tracking().addTracker(this::written);
    }

    private void written(long gpa, int widthBytes, long value) {
        for (Frames watch : watches) {
            if (watch.gfns.contains(Page.numberOf(gpa))) {
                watch.listener.written(gpa, widthBytes, value);
            }
        }
    }

    @Override
    public Watch watch(GfnRange gfns, Listener listener) {
        Frames watch = new Frames(gfns, listener);
        slots.slotsLock().lock();
        try {
            watches.add(watch);
            forEachSlot(gfns, watch, true);
        } finally {
            slots.slotsLock().unlock();
        }
        return watch;
    }

    /// Begins or ends the watches of a range in the present slots.
    private void forEachSlot(GfnRange gfns, Frames watch, boolean begin) {
        slots.active(0)
                .forEach(slot -> {
                    if (slot.gfns().overlaps(gfns)) {
                        change(slot, watch, begin);
                    }
                });
    }

    private void change(Memslot slot, Frames watch, boolean begin) {
        long first = Math.max(slot.baseGfn(), watch.gfns.firstGfn());
        long end = Math.min(slot.endGfn(), watch.gfns.endGfn());
        for (long gfn = first; gfn < end; gfn++) {
            if (begin) {
                mmu.watchWrites(slot, gfn);
            } else {
                mmu.unwatchWrites(slot, gfn);
            }
        }
    }

    /// A new slot is watched before a processor can map it.
    @Override
    public void prepare(SlotChange change) {
        Memslot slot = change.newSlot();
        if (change.kind() == SlotChange.Kind.CREATE && slot != null && slot.asId() == 0) {
            watches.forEach(watch -> change(slot, watch, true));
        }
    }

    @Override
    public void abort(SlotChange change) {
        Memslot slot = change.newSlot();
        if (change.kind() == SlotChange.Kind.CREATE && slot != null && slot.asId() == 0) {
            watches.forEach(watch -> change(slot, watch, false));
        }
    }

    @Override
    public void flush(Memslot invalid) {}

    /// The MMU has forgotten the watches of a slot that moved.
    @Override
    public void commit(SlotChange change) {
        Memslot slot = change.newSlot();
        if (change.kind() == SlotChange.Kind.MOVE && slot != null && slot.asId() == 0) {
            watches.forEach(watch -> change(slot, watch, true));
        }
    }

    private final class Frames implements Watch {
        private final GfnRange gfns;
        private final Listener listener;
        private final AtomicBoolean ended = new AtomicBoolean();

        Frames(GfnRange gfns, Listener listener) {
            this.gfns = gfns;
            this.listener = listener;
        }

        @Override
        public void close() {
            if (!ended.compareAndSet(false, true)) {
                return;
            }
            slots.slotsLock().lock();
            try {
                watches.remove(this);
                forEachSlot(gfns, this, false);
            } finally {
                slots.slotsLock().unlock();
            }
        }
    }
}
