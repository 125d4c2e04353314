package dev.mdev.core.dirty;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/// The layout of an entry of a dirty ring (Linux `struct kvm_dirty_gfn`), and the memory order
/// between its three parties.
///
///     +0  u32 flags    0 empty, 1 dirty, bit 1: harvested
///     +4  u32 slot     asId << 16 | id
///     +8  u64 offset   index of the page within the slot
///
///     producer:   slot, offset; then flags = 1           (release)
///     harvester:  flags (acquire); slot, offset; then flags = 2   (release)
///     reset:      flags (acquire); slot, offset; then flags = 0   (release)
final class DirtyRingEntry {
    static final int SIZE_BYTES = 16;

    /// Published and not yet harvested.
    static final int DIRTY = 1;

    /// Harvested.
    static final int RESET = 2;

    private static final int FLAGS_AT = 0;
    private static final int SLOT_AT = 4;
    private static final int OFFSET_AT = 8;
    private static final VarHandle INT = ValueLayout.JAVA_INT.varHandle();

    private DirtyRingEntry() {}

    /// The flags. Pairs with [#publishRelease], [#markHarvestedRelease] and [#markEmptyRelease].
    static int flagsAcquire(MemorySegment ring, long position) {
        return (int) INT.getAcquire(ring, position * SIZE_BYTES + FLAGS_AT);
    }

    /// Fills an entry, then publishes it to the harvester.
    static void publishRelease(MemorySegment ring, long position, int slot, long offset) {
        ring.set(ValueLayout.JAVA_INT, position * SIZE_BYTES + SLOT_AT, slot);
        ring.set(ValueLayout.JAVA_LONG, position * SIZE_BYTES + OFFSET_AT, offset);
        INT.setRelease(ring, position * SIZE_BYTES + FLAGS_AT, DIRTY);
    }

    /// Marks the entry as read by the harvester.
    static void markHarvestedRelease(MemorySegment ring, long position) {
        INT.setRelease(ring, position * SIZE_BYTES + FLAGS_AT, RESET);
    }

    /// Marks the entry as reusable.
    static void markEmptyRelease(MemorySegment ring, long position) {
        INT.setRelease(ring, position * SIZE_BYTES + FLAGS_AT, 0);
    }

    static int slot(MemorySegment ring, long position) {
        return ring.get(ValueLayout.JAVA_INT, position * SIZE_BYTES + SLOT_AT);
    }

    static long offset(MemorySegment ring, long position) {
        return ring.get(ValueLayout.JAVA_LONG, position * SIZE_BYTES + OFFSET_AT);
    }
}
