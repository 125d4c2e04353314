package dev.mdev.core.vm;

import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.DirtyWords;
import dev.mdev.core.memslot.Memslot;

/// The dirty pages of one slot as runs, with a limit. What does not fit is dirty again.
final class SlotRuns implements DirtyWords {
    private final Memslot slot;
    private final int room;
    private final DirtyRuns runs = new DirtyRuns();
    private boolean cut;

    /// @param room the maximum number of runs
    SlotRuns(Memslot slot, int room) {
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
}
