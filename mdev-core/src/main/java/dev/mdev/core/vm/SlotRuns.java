package dev.mdev.core.vm;

import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.DirtyWords;
import dev.mdev.core.memslot.Memslot;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;

/// The dirty pages of one slot as runs, with a limit. What does not fit is dirty again.
final class SlotRuns implements DirtyWords {
    private final Memslot slot;
    private final int room;
    private final DirtyRuns runs = new DirtyRuns();
    private boolean cut;

    /// @param room the maximum number of runs
    private SlotRuns(Memslot slot, int room) {
        this.slot = slot;
        this.room = room;
    }

    @Override
    public void accept(int word, long bits) {
        if (runs.size() + Long.SIZE <= room) {
            runs.add(word, bits);
            return;
        }
        cut = true;
        DirtyBitmap bitmap = slot.bitmap();
        if (bitmap != null) {
            bitmap.setAll(word, bits);
        }
    }

    /// The number of runs.
    int size() {
        return runs.size();
    }

    /// Whether some did not fit.
    boolean isCut() {
        return cut;
    }

    DirtyPages result() {
        return new DirtyPages(
                new DirtyPages.Of.Slot(slot.asId(), slot.id(), Page.addressOf(slot.baseGfn())),
                slot.npages(),
                runs.all());
    }

    /// The dirty pages of all slots that log writes.
    ///
    /// @param source gives the pages of a slot; called with the slots lock held
    static MachineDirtyLog.Answer of(AddressSpaces slots, BiConsumer<Memslot, DirtyWords> source) {
        slots.slotsLock().lock();
        try {
            List<DirtyPages> found = new ArrayList<>();
            int room = MachineDirtyLog.MAX_RUNS;
            boolean more = false;
            for (int asId = 0; asId < slots.config().addressSpaces(); asId++) {
                List<Memslot> logging = new ArrayList<>();
                slots.active(asId)
                        .forEach(slot -> {
                            if (slot.bitmap() != null) {
                                logging.add(slot);
                            }
                        });
                for (Memslot slot : logging) {
                    SlotRuns taking = new SlotRuns(slot, room);
                    source.accept(slot, taking);
                    room -= taking.size();
                    more |= taking.isCut();
                    found.add(taking.result());
                }
            }
            return new MachineDirtyLog.Answer(found, more);
        } finally {
            slots.slotsLock().unlock();
        }
    }
}
