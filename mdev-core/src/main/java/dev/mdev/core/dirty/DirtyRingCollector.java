package dev.mdev.core.dirty;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntSupplier;

/// Takes the entries of a machine's rings into the bitmaps of its slots, as a VMM does (QEMU
/// `kvm_dirty_ring_reap`).
///
/// A collection resets the rings before it returns. So a page that is in a bitmap afterwards is
/// write-protected again, as after a read of the kernel's own bitmap. The machine collects before
/// each read of its log, before a slot loses its log, and when the ring of a vCPU is full: that
/// vCPU stays out of the guest until then.
///
/// Any thread may call the methods. They take the slots lock.
public final class DirtyRingCollector {
    private final AddressSpaces slots;
    private final IntSupplier reset;

    /// Guarded by the slots lock.
    private final List<DirtyRingHarvester> rings = new ArrayList<>();

    private final AtomicLong harvested = new AtomicLong();
    private final AtomicLong full = new AtomicLong();

    /// @param reset frees the harvested entries of all rings and protects their pages again;
    ///   returns the number of entries
    public DirtyRingCollector(AddressSpaces slots, IntSupplier reset) {
        this.slots = slots;
        this.reset = reset;
    }

    /// Adds the ring of a vCPU, before the vCPU runs. The ring's memory must stay valid until
    /// [#remove].
    ///
    /// @return for [#remove]
    public DirtyRingHarvester add(MemorySegment ring) {
        DirtyRingHarvester harvester = new DirtyRingHarvester(ring);
        slots.slotsLock().lock();
        try {
            rings.add(harvester);
        } finally {
            slots.slotsLock().unlock();
        }
        return harvester;
    }

    /// Collects a last time, and removes a ring whose vCPU does not run any more.
    public void remove(DirtyRingHarvester ring) {
        slots.slotsLock().lock();
        try {
            if (rings.contains(ring)) {
                collect();
                rings.remove(ring);
            }
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Takes all entries, and returns when their pages are protected again. An interrupt of the
    /// thread does not cut it short.
    ///
    /// @throws MdevException EIO if the rings cannot be reset
    public void collect() {
        slots.slotsLock().lock();
        try {
            int taken = 0;
            for (DirtyRingHarvester ring : rings) {
                taken += ring.harvest(this::mark, DirtyRing.MAX_ENTRIES);
            }
            if (taken > 0) {
                harvested.addAndGet(taken);
                resetAll(taken);
            }
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Collects because a vCPU found its ring full.
    public void collectFull() {
        full.incrementAndGet();
        collect();
    }

    /// Entries taken so far.
    public long harvested() {
        return harvested.get();
    }

    /// How often a vCPU found its ring full.
    public long full() {
        return full.get();
    }

    private void mark(int slotNumber, long index) {
        Memslot slot = slots.slotOf(slotNumber);
        DirtyBitmap bitmap = slot == null ? null : slot.bitmap();
        // The log of a slot may have ended since the write.
        if (slot != null && bitmap != null && index >= 0 && index < slot.npages()) {
            bitmap.set(index);
        }
    }

    /// A reset ends early if a signal or an interrupt is pending.
    private void resetAll(int entries) {
        boolean interrupted = false;
        int left = entries;
        while (left > 0) {
            interrupted |= Thread.interrupted();
            int freed = reset.getAsInt();
            if (freed <= 0 && !Thread.currentThread().isInterrupted()) {
                throw new MdevException(
                        Errno.EIO, "dirty rings: %d entries were not reset".formatted(left));
            }
            left -= freed;
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
