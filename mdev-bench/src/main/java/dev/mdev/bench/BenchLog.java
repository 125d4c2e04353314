package dev.mdev.bench;

import dev.mdev.api.page.Page;
import dev.mdev.core.dirty.DirtyHardware;
import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyProtector;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

import java.util.Objects;

/// A machine whose slots log, without an MMU that would protect the pages again.
final class BenchLog {
    static final long HVA = 0x10_0000_0000L;

    final AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
    final DirtyLog log;

    BenchLog() {
        DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
        log = new DirtyLog(slots, modes, new NoProtector());
        slots.setBitmapPolicy(modes);
    }

    private static final class NoProtector implements DirtyProtector {
        @Override
        public void protect(Memslot slot, long baseIndex, long bits) {}

        @Override
        public void protectWords(Memslot slot, long baseIndex, long[] words, int count) {}

        @Override
        public void flush() {}
    }

    /// Adds a slot behind those of smaller numbers; all show the same host memory.
    void addSlot(int slot, long npages) {
        slots.setUserMemoryRegion(
                new UserMemoryRegion(
                        slot,
                        SlotFlags.LOG_DIRTY_PAGES,
                        slot * Page.bytesOf(npages),
                        Page.bytesOf(npages),
                        HVA));
    }

    /// Makes pages of a slot dirty: at 1 % one page in each 100, at 50 % every second one, in each
    /// slot others.
    void dirty(int slot, int percent) {
        Memslot logged = Objects.requireNonNull(slots.slotOf(slot));
        DirtyBitmap bitmap = Objects.requireNonNull(logged.bitmap());
        if (percent == 50) {
            for (int word = 0; word < bitmap.words(); word++) {
                bitmap.setAll(word, 0x5555_5555_5555_5555L << slot);
            }
        } else if (percent == 1) {
            for (long page = slot; page < logged.npages(); page += 100) {
                bitmap.set(page);
            }
        }
    }
}
