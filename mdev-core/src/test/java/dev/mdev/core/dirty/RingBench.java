package dev.mdev.core.dirty;

import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.SlotRequests;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/// A machine whose vCPUs have rings of 256 entries.
final class RingBench {
    static final int ENTRIES = 256;
    static final int SOFT_LIMIT = 192;
    static final int SIZE_BYTES = ENTRIES * DirtyRingEntry.SIZE_BYTES;

    final AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
    final DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
    final DirtyRings rings = new DirtyRings(slots, modes, RingBench::allocate);
    final ProtectRecorder protector = new ProtectRecorder();
    private final Map<DirtyRing, DirtyRingHarvester> harvesters = new HashMap<>();

    RingBench() {
        modes.enable(DirtyModes.RING, 0, SIZE_BYTES);
        slots.setBitmapPolicy(modes);
        slots.setDirtySink(rings);
    }

    static MemorySegment allocate(int sizeBytes) {
        return Arena.ofAuto().allocate(sizeBytes, 4096);
    }

    /// Creates a logging slot at frame `id * 0x10000`.
    Memslot logged(int id, long npages) {
        slots.setUserMemoryRegion(
                SlotRequests.region(id, SlotFlags.LOG_DIRTY_PAGES, id * 0x10000L, npages));
        return slot(id);
    }

    Memslot slot(int id) {
        return Objects.requireNonNull(slots.slotOf(id));
    }

    DirtyRing vcpu(int vcpuId) {
        return Objects.requireNonNull(rings.vcpuCreated(vcpuId));
    }

    static DirtyRingHarvester harvester(DirtyRing ring) {
        return new DirtyRingHarvester(ring.memory());
    }

    /// Harvests everything, going on where the last call stopped.
    int harvest(DirtyRing ring) {
        return harvesters
                .computeIfAbsent(ring, RingBench::harvester)
                .harvest((_, _) -> {}, Integer.MAX_VALUE);
    }

    int reset() {
        return rings.reset(protector);
    }
}
