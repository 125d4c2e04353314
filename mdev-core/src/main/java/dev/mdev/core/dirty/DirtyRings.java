package dev.mdev.core.dirty;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.DirtySink;
import dev.mdev.core.memslot.Memslot;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntFunction;

/// Where a machine's writes are recorded: the rings of its vCPUs, and the bitmaps of its slots
/// (Linux `mark_page_dirty_in_slot` and `KVM_RESET_DIRTY_RINGS`).
///
/// As a [DirtySink] it records a write
///
/// 1. nowhere, if the thread acts for a vCPU of another machine;
/// 2. in the ring of the vCPU that wrote, or that the thread acts for ([#actFor]), if there are
///    rings;
/// 3. otherwise in the slot's bitmap, if it has one: a machine with bitmaps only, or a machine with
///    bitmaps beside the rings whose memory is written without a running vCPU;
/// 4. otherwise nowhere: the write is lost, and counted.
///
/// Locks: the slots lock outside `lock`, which guards the list of rings and is a leaf.
public final class DirtyRings implements DirtySink {
    /// The highest id of a vCPU, plus one.
    private static final int MAX_VCPU_IDS = 4096;

    private final AddressSpaces slots;
    private final DirtyModes modes;
    private final IntFunction<MemorySegment> allocator;
    private final AtomicLong lostMarks = new AtomicLong();
    private final AtomicLong foreignMarks = new AtomicLong();
    private final ReentrantLock lock = new ReentrantLock();

    /// By vCPU id. Replaced, never changed.
    private volatile @Nullable DirtyRing[] byVcpuId = new DirtyRing[0];

    /// Ids of vCPUs, with or without rings.
    @GuardedBy("lock")
    private final BitSet ids = new BitSet();

    /// In the order in which the vCPUs were created.
    @GuardedBy("lock")
    private final List<DirtyRing> inOrder = new ArrayList<>();

    /// @param allocator makes the memory of a ring of a given size in bytes: zeros, page-aligned
    public DirtyRings(AddressSpaces slots, DirtyModes modes, IntFunction<MemorySegment> allocator) {
        this.slots = slots;
        this.modes = modes;
        this.allocator = allocator;
    }

    /// Announces a new vCPU. From now on rings can no longer be enabled.
    ///
    /// @return its ring, or null if there are none
    /// @throws MdevException `EINVAL` for an id out of range, `EEXIST` for an id that was used
    ///   before, also if that vCPU is closed
    public @Nullable DirtyRing vcpuCreated(int vcpuId) {
        if (vcpuId < 0 || vcpuId >= MAX_VCPU_IDS) {
            throw new MdevException(Errno.EINVAL, "vcpuId=" + vcpuId);
        }
        int sizeBytes = modes.vcpuCreated();
        reserveId(vcpuId);
        if (sizeBytes == 0) {
            return null;
        }
        DirtyRing ring = new DirtyRing(allocator.apply(sizeBytes), modes.reservedEntries());
        lock.lock();
        try {
            @Nullable DirtyRing[] grown =
                    Arrays.copyOf(byVcpuId, Math.max(byVcpuId.length, vcpuId + 1));
            grown[vcpuId] = ring;
            byVcpuId = grown;
            inOrder.add(ring);
        } finally {
            lock.unlock();
        }
        return ring;
    }

    private void reserveId(int vcpuId) {
        lock.lock();
        try {
            if (ids.get(vcpuId)) {
                throw new MdevException(Errno.EEXIST, "vcpuId=" + vcpuId);
            }
            ids.set(vcpuId);
        } finally {
            lock.unlock();
        }
    }

    /// The ring of a vCPU, or null.
    public @Nullable DirtyRing ringOf(int vcpuId) {
        @Nullable DirtyRing[] rings = byVcpuId;
        return vcpuId >= 0 && vcpuId < rings.length ? rings[vcpuId] : null;
    }

    /// Runs an action on behalf of a vCPU: the machine's writes on this thread during the action
    /// count as that vCPU's.
    public void actFor(int vcpuId, Runnable action) {
        DirtyRunningVcpu.Loaded before =
                DirtyRunningVcpu.load(new DirtyRunningVcpu.Loaded(this, vcpuId));
        try {
            action.run();
        } finally {
            DirtyRunningVcpu.put(before);
        }
    }

    @Override
    public void mark(Memslot slot, long pageIndex, int vcpuId) {
        int writer = vcpuId;
        if (writer == NO_VCPU) {
            DirtyRunningVcpu.Loaded running = DirtyRunningVcpu.current();
            if (running != null && running.machine() != this) {
                foreignMarks.incrementAndGet();
                return;
            }
            writer = running == null ? NO_VCPU : running.vcpuId();
        }
        DirtyRing ring = ringOf(writer);
        if (ring != null) {
            ring.push(slot.slotNumber(), pageIndex);
            return;
        }
        DirtyBitmap bitmap = slot.bitmap();
        if (bitmap == null) {
            lostMarks.incrementAndGet();
        } else {
            bitmap.set(pageIndex);
        }
    }

    /// Unrecorded writes, because there was neither a vCPU nor a bitmap.
    public long lostMarks() {
        return lostMarks.get();
    }

    /// Unrecorded writes, because the thread acted for another machine's vCPU.
    public long foreignMarks() {
        return foreignMarks.get();
    }

    /// Frees the harvested entries at the front of every ring and write-protects their pages again
    /// (`KVM_RESET_DIRTY_RINGS`). A harvested entry behind an unharvested one stays.
    ///
    /// The entries lie in memory that the VMM may write. An entry with an invalid slot or page is
    /// freed and counted; the pages of its whole batch stay unprotected.
    ///
    /// An interrupt of the thread ends the reset early; the flag stays set. The entries freed until
    /// then are counted and protected. (Linux 6.17, when a signal is pending, returns without
    /// protecting the current batch.)
    ///
    /// @return entries freed, over all rings
    /// @throws MdevException `EINVAL` if there are no rings
    public int reset(DirtyProtector protector) {
        slots.requireAlive();
        if (!modes.usesRing()) {
            throw new MdevException(Errno.EINVAL, "no dirty rings");
        }
        slots.slotsLock().lock();
        try {
            int count = 0;
            for (DirtyRing ring : snapshot()) {
                count = reset(ring, protector, count);
            }
            if (count > 0) {
                protector.flush();
            }
            return count;
        } finally {
            slots.slotsLock().unlock();
        }
    }

    private int reset(DirtyRing ring, DirtyProtector protector, int countBefore) {
        DirtyRingBatch batch = new DirtyRingBatch(slots, protector);
        int count = countBefore;
        while (count < Integer.MAX_VALUE
                && !Thread.currentThread().isInterrupted()
                && ring.resetOne(batch)) {
            count++;
        }
        batch.finish();
        return count;
    }

    private List<DirtyRing> snapshot() {
        lock.lock();
        try {
            return List.copyOf(inOrder);
        } finally {
            lock.unlock();
        }
    }
}
