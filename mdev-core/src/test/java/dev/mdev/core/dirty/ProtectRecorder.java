package dev.mdev.core.dirty;

import dev.mdev.core.memslot.Memslot;

import java.util.ArrayList;
import java.util.List;

/// Records the requests for write protection.
final class ProtectRecorder implements DirtyProtector {
    /// One request.
    record Batch(int slotNumber, long baseIndex, long bits) {}

    final List<Batch> batches = new ArrayList<>();
    int flushes;
    int drains;

    @Override
    public void protect(Memslot slot, long baseIndex, long bits) {
        batches.add(new Batch(slot.slotNumber(), baseIndex, bits));
    }

    @Override
    public void flush() {
        flushes++;
    }

    @Override
    public void drain(Memslot slot) {
        drains++;
    }
}
