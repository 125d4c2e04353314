package dev.mdev.core.mmu;

import dev.mdev.core.memslot.Memslot;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

/// Guest pages with trackers that need every write to them, such as shadowed page tables (Linux
/// `arch/x86/kvm/mmu/page_track.c`). A watched page is never mapped writable: each store to it
/// faults, is emulated, and reported.
///
/// Pages are watched per slot, by index within it: the watches of a slot end with it.
public final class WriteTracking {
    private final ConcurrentHashMap<Key, Integer> watched = new ConcurrentHashMap<>();
    private final CopyOnWriteArrayList<WriteTracker> trackers = new CopyOnWriteArrayList<>();

    WriteTracking() {}

    private record Key(int asId, int slotId, long pageIndex) {}

    /// Receives writes to watched pages.
    @FunctionalInterface
    public interface WriteTracker {
        /// A vCPU wrote; the bytes are in memory. Called by the vCPU's thread.
        ///
        /// @param gpa the first byte written
        /// @param widthBytes 1 to 8
        /// @param value the stored bytes, in the low bytes
        void written(long gpa, int widthBytes, long value);
    }

    public void addTracker(WriteTracker tracker) {
        trackers.add(tracker);
    }

    /// Notifies the trackers.
    public void written(long gpa, int widthBytes, long value) {
        trackers.forEach(tracker -> tracker.written(gpa, widthBytes, value));
    }

    /// @return whether it was unwatched before
    boolean watch(Memslot slot, long gfn) {
        return watched.merge(keyOf(slot, gfn), 1, Integer::sum) == 1;
    }

    /// Undoes one watch.
    ///
    /// @return whether it is unwatched now
    boolean unwatch(Memslot slot, long gfn) {
        return watched.computeIfPresent(
                        keyOf(slot, gfn), (_, count) -> count == 1 ? null : count - 1)
                == null;
    }

    void forget(Memslot slot) {
        watched.keySet().removeIf(key -> key.asId == slot.asId() && key.slotId == slot.id());
    }

    boolean isWatched(Memslot slot, long gfn) {
        return !watched.isEmpty() && watched.containsKey(keyOf(slot, gfn));
    }

    /// Whether a page of the block is watched, so that the block cannot be one leaf.
    boolean anyWatched(Memslot slot, long firstGfn, long npages) {
        if (watched.isEmpty()) {
            return false;
        }
        long first = slot.pageIndexOf(firstGfn);
        return watched.keySet().stream()
                .anyMatch(key ->
                        key.asId == slot.asId()
                                && key.slotId == slot.id()
                                && key.pageIndex >= first
                                && key.pageIndex - first < npages);
    }

    private static Key keyOf(Memslot slot, long gfn) {
        return new Key(slot.asId(), slot.id(), slot.pageIndexOf(gfn));
    }
}
