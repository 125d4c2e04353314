package dev.mdev.core.vm;

import dev.mdev.core.dma.DmaWindow;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;

import java.util.Collection;

/// Follows a machine's slots, so that no pin outlives its slot, even without the steps of
/// [DmaWindow], "How memory goes away". This does not call drivers, because slots change under a
/// lock.
///
/// A page pinned for writing counts as dirty the whole time: it is marked when a slot starts to
/// log, and before each read of its log.
final class PinGuard implements SlotListener {
    private final Collection<AttachedDevice> devices;

    PinGuard(Collection<AttachedDevice> devices) {
        this.devices = devices;
    }

    @Override
    public void prepare(SlotChange change) {}

    @Override
    public void flush(Memslot invalid) {
        if (invalid.asId() == 0) {
            devices.forEach(device -> device.dma().unpin(invalid.gfns()));
        }
    }

    @Override
    public void commit(SlotChange change) {
        Memslot slot = change.newSlot();
        if (slot != null && slot.logsDirty()) {
            beforeHarvest(slot);
        }
    }

    @Override
    public void beforeHarvest(Memslot slot) {
        if (slot.asId() == 0) {
            devices.forEach(device -> device.dma().markPinned(slot.gfns()));
        }
    }
}
