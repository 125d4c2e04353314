package dev.mdev.core.dirty;

import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.memslot.DirtyBitmap;

/// A block of host memory behind guests' slots, and its dirty pages, regardless of the slot of each
/// write.
public final class DirtyBackingBlock {
    private final HvaRange host;
    private final DirtyBitmap dirty;

    DirtyBackingBlock(HvaRange host) {
        this.host = host;
        this.dirty = new DirtyBitmap(host.npages());
    }

    /// The memory.
    public HvaRange host() {
        return host;
    }

    /// Its dirty pages: bit i for page i of the block. The VMM may set bits for its own writes or a
    /// device's, and takes them with [DirtyBitmap#harvest].
    public DirtyBitmap dirty() {
        return dirty;
    }

    /// Merges one word of a slot's log.
    ///
    /// @param blockIndex the page of bit 0 of `bits`; it may lie before the block if the bits of
    ///   those pages are clear
    /// @param bits the dirty pages, all within the block
    void merge(long blockIndex, long bits) {
        mergeInto(dirty, blockIndex, bits);
    }

    /// The same, into another bitmap of the block's pages.
    static void mergeInto(DirtyBitmap dirty, long blockIndex, long bits) {
        int shift = (int) (blockIndex & (Long.SIZE - 1));
        int word = (int) Math.floorDiv(blockIndex, (long) Long.SIZE);
        long low = bits << shift;
        if (low != 0) {
            dirty.setAll(word, low);
        }
        // A shift by 64 would shift by 0.
        long high = shift == 0 ? 0 : bits >>> (Long.SIZE - shift);
        if (high != 0) {
            dirty.setAll(word + 1, high);
        }
    }

    /// Moves dirty pages to a slot's log.
    ///
    /// @param firstIndex the first page of the block that the slot shows
    /// @param npages how many it shows
    /// @param slotIndex the page of the slot that shows `firstIndex`
    void moveTo(DirtyBitmap log, long firstIndex, long npages, long slotIndex) {
        dirty.harvest((word, bits) -> {
            for (long left = bits; left != 0; left &= left - 1) {
                long index = (long) word * Long.SIZE + Long.numberOfTrailingZeros(left);
                if (index >= firstIndex && index - firstIndex < npages) {
                    log.set(slotIndex + (index - firstIndex));
                } else {
                    dirty.set(index);
                }
            }
        });
    }

    @Override
    public String toString() {
        return "DirtyBackingBlock[" + host + "]";
    }
}
