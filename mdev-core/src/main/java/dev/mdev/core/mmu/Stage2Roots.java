package dev.mdev.core.mmu;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.VcpuMemslots;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/// The tables of a machine, the lock that guards them, and the gate that makes their changes
/// effective.
///
/// vCPUs in system management mode have a root of their own in both designs: with two address
/// spaces, because these differ; with the SMRAM flag, because a hidden slot's mapping would
/// otherwise leak to a vCPU outside (Linux keeps an `smm` bit in the page role for it).
final class Stage2Roots {
    private final boolean smramFlag;
    private final Stage2Table[] roots;
    private final AccessGate gate = new AccessGate();

    final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final InvalidateSeq invalidations = new InvalidateSeq();

    /// Flushes that a thread waits for: incremented under `lock` with the change of the table.
    ///
    /// A caller that finds nothing left to change must still wait for a running flush of that same
    /// change by another thread: it relies on the old translation being gone.
    private final AtomicInteger flushesUnderWay = new AtomicInteger();

    Stage2Roots(SlotConfig config) {
        smramFlag = config.smramFlag();
        roots = new Stage2Table[smramFlag ? 2 : config.addressSpaces()];
        for (int i = 0; i < roots.length; i++) {
            roots[i] = new Stage2Table();
        }
    }

    AccessGate gate() {
        return gate;
    }

    /// The current root of a vCPU.
    Stage2Table of(VcpuMemslots vcpu) {
        return roots[smramFlag ? (vcpu.isInSmm() ? 1 : 0) : vcpu.asId()];
    }

    /// Must be read before anything is resolved for a fault.
    long readSequence() {
        lock.lock();
        try {
            return invalidations.read();
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    boolean mustRetryLocked(long sequence, long gfn) {
        return invalidations.mustRetryLocked(sequence, gfn);
    }

    /// Whether one of the frames is under invalidation.
    @GuardedBy("lock")
    boolean isInvalidatingLocked(long firstGfn, long npages) {
        return invalidations.touchesLocked(firstGfn, firstGfn + npages);
    }

    @GuardedBy("lock")
    void beginInvalidationLocked() {
        invalidations.beginLocked();
    }

    @GuardedBy("lock")
    void addToInvalidationLocked(GfnRange frames) {
        invalidations.addLocked(frames.firstGfn(), frames.endGfn());
    }

    void endInvalidation() {
        lock.lock();
        try {
            invalidations.endLocked();
        } finally {
            lock.unlock();
        }
    }

    /// Changes the leaves of some of a slot's frames, in each root that may have them.
    ///
    /// @return whether one changed
    @GuardedBy("lock")
    boolean changeLocked(Memslot slot, GfnRange frames, Stage2Table.Change change) {
        if (!smramFlag) {
            return roots[slot.asId()].changeLocked(frames, change);
        }
        boolean any = false;
        for (Stage2Table root : roots) {
            any |= root.changeLocked(frames, change);
        }
        return any;
    }

    /// Takes write permission from leaves that map some of 64 frames, in each root that may have
    /// them.
    ///
    /// @param bits which, bit i for frame `firstGfn + i`; all of the slot
    /// @return whether one had the permission
    @GuardedBy("lock")
    boolean writeProtectLocked(Memslot slot, long firstGfn, long bits) {
        if (!smramFlag) {
            return roots[slot.asId()].writeProtectLocked(firstGfn, bits);
        }
        boolean any = false;
        for (Stage2Table root : roots) {
            any |= root.writeProtectLocked(firstGfn, bits);
        }
        return any;
    }

    @GuardedBy("lock")
    boolean zapEverythingLocked() {
        boolean any = false;
        for (Stage2Table root : roots) {
            any |= root.zapAllLocked();
        }
        return any;
    }

    /// Changes the leaves of some of a slot's frames, and returns when every vCPU has stopped using
    /// the old ones.
    ///
    /// @return whether one changed
    boolean changeAndFlush(Memslot slot, GfnRange frames, Stage2Table.Change change) {
        boolean[] any = new boolean[1];
        changeAndFlush(() -> any[0] = changeUnderLock(slot, frames, change));
        return any[0];
    }

    @SuppressWarnings("GuardedBy") // called by changeAndFlush, with the lock held
    private boolean changeUnderLock(Memslot slot, GfnRange frames, Stage2Table.Change change) {
        return changeLocked(slot, frames, change);
    }

    /// Runs a change of the tables under the lock, and returns when every vCPU has stopped using
    /// the old entries.
    ///
    /// @param changeLocked makes the change, and returns whether there was one
    void changeAndFlush(BooleanSupplier changeLocked) {
        boolean changed;
        boolean mustFlush;
        lock.lock();
        try {
            changed = changeLocked.getAsBoolean();
            if (changed) {
                flushesUnderWay.incrementAndGet();
            }
            mustFlush = flushesUnderWay.get() > 0;
        } finally {
            lock.unlock();
        }
        if (mustFlush) {
            gate.flush();
        }
        if (changed) {
            flushesUnderWay.decrementAndGet();
        }
    }

    /// Records a change that [#flushOwed] flushes later.
    @GuardedBy("lock")
    void flushOwedLocked() {
        flushesUnderWay.incrementAndGet();
    }

    /// Returns when every vCPU has stopped using the entries from before the recorded changes, of
    /// all threads.
    ///
    /// @param owed the number of the caller's changes
    void flushOwed(int owed) {
        if (flushesUnderWay.get() > 0) {
            gate.flush();
        }
        flushesUnderWay.addAndGet(-owed);
    }

    long leaves(int level) {
        lock.lock();
        try {
            long sum = 0;
            for (Stage2Table root : roots) {
                sum += root.leavesLocked(level);
            }
            return sum;
        } finally {
            lock.unlock();
        }
    }
}
