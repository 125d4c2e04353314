package dev.mdev.core.dirty;

import java.lang.foreign.MemorySegment;

/// The VMM's side of one dirty ring, on memory shared with the kernel (or with [DirtyRing]).
///
/// A harvested entry stays in use until the rings are reset, and until then its page may be written
/// without notice: only a copy made after the reset is good.
///
/// One thread at a time.
public final class DirtyRingHarvester {
    private final MemorySegment memory;
    private final long entries;

    /// Free-running, unsigned.
    private int next;

    /// Takes a harvested entry.
    @FunctionalInterface
    public interface Sink {
        /// A page was written, once or more often.
        ///
        /// @param slotNumber `asId << 16 | id`
        /// @param pageIndex index of the page within the slot
        void accept(int slotNumber, long pageIndex);
    }

    /// @param memory all of a ring, from its first entry on; its size is a power of two
    public DirtyRingHarvester(MemorySegment memory) {
        this.memory = memory;
        this.entries = memory.byteSize() / DirtyRingEntry.SIZE_BYTES;
        if (entries == 0 || Long.bitCount(memory.byteSize()) != 1) {
            throw new IllegalArgumentException("sizeBytes=0x%x".formatted(memory.byteSize()));
        }
    }

    /// Harvests the available entries, oldest first.
    ///
    /// @param sink gets each entry. If it throws, its entry stays unharvested
    /// @param limit the maximum number of entries
    /// @return entries harvested
    public int harvest(Sink sink, int limit) {
        int count = 0;
        while (count < limit) {
            long position = Integer.toUnsignedLong(next) & (entries - 1);
            if (DirtyRingEntry.flagsAcquire(memory, position) != DirtyRingEntry.DIRTY) {
                break;
            }
            sink.accept(
                    DirtyRingEntry.slot(memory, position), DirtyRingEntry.offset(memory, position));
            DirtyRingEntry.markHarvestedRelease(memory, position);
            next++;
            count++;
        }
        return count;
    }
}
