package dev.mdev.core.dirty;

import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/// Which pages of which slot a guest may write without a fault: as much of an MMU as dirty tracking
/// needs. For one thread.
final class TinyMmu implements DirtyProtector, SlotListener {
    private final AddressSpaces slots;
    private final DirtyModes modes;
    private final Map<Integer, Set<Long>> writable = new HashMap<>();

    TinyMmu(AddressSpaces slots, DirtyModes modes) {
        this.slots = slots;
        this.modes = modes;
    }

    /// A guest's store: only a fault is recorded.
    void write(Memslot slot, long index, int vcpuId) {
        if (writableOf(slot.slotNumber()).add(index)) {
            slots.markDirty(slot, slot.baseGfn() + index, vcpuId);
        }
    }

    Set<Long> writableOf(int slotNumber) {
        return writable.computeIfAbsent(slotNumber, _ -> new HashSet<>());
    }

    @Override
    public void protect(Memslot slot, long baseIndex, long bits) {
        for (long left = bits; left != 0; left &= left - 1) {
            writableOf(slot.slotNumber()).remove(baseIndex + Long.numberOfTrailingZeros(left));
        }
    }

    @Override
    public void flush() {}

    @Override
    public void prepare(SlotChange change) {}

    @Override
    public void flush(Memslot invalid) {
        writable.clear();
    }

    @Override
    public void commit(SlotChange change) {
        Memslot before = change.oldSlot();
        Memslot after = change.newSlot();
        if (change.kind() == SlotChange.Kind.FLAGS_ONLY
                && before != null
                && after != null
                && after.logsDirty()
                && !before.logsDirty()
                && modes.protectsOnLogStart()) {
            writableOf(after.slotNumber()).clear();
        }
    }
}
