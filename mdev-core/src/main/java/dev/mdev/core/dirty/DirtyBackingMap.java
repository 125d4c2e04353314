package dev.mdev.core.dirty;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.memslot.Memslot;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Which pages of backing memory are behind which pages of each slot. Not thread-safe.
final class DirtyBackingMap {
    /// Part of a slot that lies in one block.
    ///
    /// @param firstIndex index within the slot of the part's first page
    /// @param npages pages in the part
    /// @param block the block of memory
    /// @param blockIndex index within the block of the part's first page
    record Part(long firstIndex, long npages, DirtyBackingBlock block, long blockIndex) {
        boolean contains(long index) {
            return index >= firstIndex && index - firstIndex < npages;
        }

        /// Which of the 64 pages of the slot from `index` on are in the part.
        long bitsFrom(long index) {
            long from = Math.max(firstIndex - index, 0);
            long to = Math.min(firstIndex + npages - index, Long.SIZE);
            return from >= to ? 0 : -1L >>> (Long.SIZE - (to - from)) << from;
        }
    }

    /// The memory of each slot by its number, also of deleted slots.
    private final Map<Integer, HvaRange> memory = new HashMap<>();

    private final Map<Integer, List<Part>> parts = new HashMap<>();
    private int lastSlotNumber;
    private @Nullable List<Part> lastParts;

    /// Records what a slot shows; forgets a former slot of the same number.
    void put(Memslot slot, Collection<DirtyBackingBlock> blocks) {
        memory.put(slot.slotNumber(), slot.hvas());
        cut(slot.slotNumber(), slot.hvas(), blocks);
    }

    /// Splits all slots again, because the blocks have changed.
    void recut(Collection<DirtyBackingBlock> blocks) {
        memory.forEach((slotNumber, host) -> cut(slotNumber, host, blocks));
    }

    /// The parts of a slot that lie in a block; empty for an unknown slot.
    List<Part> partsOf(int slotNumber) {
        List<Part> last = lastParts;
        if (last != null && lastSlotNumber == slotNumber) {
            return last;
        }
        List<Part> found = parts.getOrDefault(slotNumber, List.of());
        lastSlotNumber = slotNumber;
        lastParts = found;
        return found;
    }

    private void cut(int slotNumber, HvaRange host, Collection<DirtyBackingBlock> blocks) {
        List<Part> cut = new ArrayList<>();
        for (DirtyBackingBlock block : blocks) {
            if (block.host().overlaps(host)) {
                cut.add(partOf(host, block));
            }
        }
        parts.put(slotNumber, List.copyOf(cut));
        lastParts = null;
    }

    private static Part partOf(HvaRange inSlot, DirtyBackingBlock block) {
        long startHva = Math.max(inSlot.startHva(), block.host().startHva());
        long endHva = Math.min(inSlot.endHva(), block.host().endHva());
        return new Part(
                Page.numberOf(startHva - inSlot.startHva()),
                Page.numberOf(endHva - startHva),
                block,
                Page.numberOf(startHva - block.host().startHva()));
    }
}
