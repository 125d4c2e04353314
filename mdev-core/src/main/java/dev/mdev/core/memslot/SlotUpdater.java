package dev.mdev.core.memslot;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.memslot.SlotChange.Kind;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.ReentrantLock;

/// Carries out one request at a time: the second half of Linux `__kvm_set_memory_region`, and
/// `kvm_set_memslot`.
final class SlotUpdater {
    private static final int UNCHANGEABLE_FLAGS = SlotFlags.READONLY | SlotFlags.SMRAM;

    final ReentrantLock lock = new ReentrantLock();

    private final RegionChecks checks;
    private final SlotPublisher publisher;
    private final List<SlotListener> listeners = new CopyOnWriteArrayList<>();
    private volatile BitmapPolicy bitmapPolicy = BitmapPolicy.ZEROS;
    private volatile int loggingSlots;

    @GuardedBy("lock")
    private long totalPages;

    @GuardedBy("lock")
    private boolean changing;

    SlotUpdater(RegionChecks checks, SlotPublisher publisher) {
        this.checks = checks;
        this.publisher = publisher;
    }

    void addListener(SlotListener listener) {
        listeners.add(listener);
    }

    @GuardedBy("lock")
    void beforeHarvest(Memslot slot) {
        for (SlotListener listener : listeners) {
            listener.beforeHarvest(slot);
        }
    }

    void setBitmapPolicy(BitmapPolicy policy) {
        bitmapPolicy = policy;
    }

    int loggingSlots() {
        return loggingSlots;
    }

    long totalPages() {
        lock.lock();
        try {
            return totalPages;
        } finally {
            lock.unlock();
        }
    }

    /// Carries out a request whose id and flags the caller has accepted.
    void set(UserMemoryRegion region) {
        lock.lock();
        try {
            if (changing) {
                throw new IllegalStateException("a listener changes slots: " + region);
            }
            changing = true;
            try {
                setLocked(region);
            } finally {
                changing = false;
            }
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void setLocked(UserMemoryRegion region) {
        checks.check(region);
        MemslotSet set = publisher.active(UserMemoryRegion.asIdOf(region.slot()));
        Memslot old = set.byId(UserMemoryRegion.idOf(region.slot()));
        Kind kind = old == null ? kindOfNew(region) : kindOfExisting(region, old);
        if (kind == null) {
            return;
        }
        if (kind.takesNewPlace()) {
            requireFree(set, region);
        }
        change(kind, old, region);
    }

    @GuardedBy("lock")
    private Kind kindOfNew(UserMemoryRegion region) {
        RegionChecks.require(region.sizeBytes() != 0, region, "no slot to delete");
        // Linux guards the sum against wrapping; the limits on id, pages and hva keep it far below.
        assert totalPages + Page.numberOf(region.sizeBytes()) >= totalPages;
        return Kind.CREATE;
    }

    /// The effect of a request on an existing slot, or null for none.
    private static @Nullable Kind kindOfExisting(UserMemoryRegion region, Memslot old) {
        if (region.sizeBytes() == 0) {
            return Kind.DELETE;
        }
        int changedFlags = region.flags() ^ old.flags();
        RegionChecks.require(
                region.hva() == old.hva()
                        && Page.numberOf(region.sizeBytes()) == old.npages()
                        && (changedFlags & UNCHANGEABLE_FLAGS) == 0,
                region,
                "only place and dirty logging can change");
        if (Page.numberOf(region.gpa()) != old.baseGfn()) {
            return Kind.MOVE;
        }
        return changedFlags != 0 ? Kind.FLAGS_ONLY : null;
    }

    private static void requireFree(MemslotSet set, UserMemoryRegion region) {
        GfnRange gfns =
                new GfnRange(Page.numberOf(region.gpa()), Page.numberOf(region.sizeBytes()));
        Memslot other = set.overlapping(gfns, UserMemoryRegion.idOf(region.slot()));
        if (other != null) {
            throw RegionChecks.refused(Errno.EEXIST, region, "gfns overlap " + other);
        }
    }

    @GuardedBy("lock")
    private void change(Kind kind, @Nullable Memslot old, UserMemoryRegion region) {
        Memslot invalid = null;
        if (old != null && kind.removesOldPlace()) {
            invalid = old.invalidated();
            publish(old, invalid);
        }
        SlotChange change;
        try {
            if (invalid != null) {
                flush(invalid);
            }
            change = prepare(kind, old, region);
        } catch (Throwable refusal) {
            if (invalid != null) {
                publish(invalid, old);
            }
            throw refusal;
        }
        publish(invalid != null ? invalid : old, change.newSlot());
        commit(change);
    }

    private void flush(Memslot invalid) {
        for (SlotListener listener : listeners) {
            listener.flush(invalid);
        }
    }

    private SlotChange prepare(Kind kind, @Nullable Memslot old, UserMemoryRegion region) {
        Memslot slot = null;
        if (kind != Kind.DELETE) {
            if (kind.takesNewPlace()) {
                // Linux has the bitmap first. It may be half a GiB.
                checks.checkReach(region);
            }
            slot = new Memslot(region, bitmapFor(region, old));
        }
        SlotChange change = new SlotChange(kind, old, slot);
        List<SlotListener> prepared = new ArrayList<>();
        try {
            for (SlotListener listener : listeners) {
                listener.prepare(change);
                prepared.add(listener);
            }
        } catch (Throwable refusal) {
            for (SlotListener listener : prepared.reversed()) {
                listener.abort(change);
            }
            throw refusal;
        }
        return change;
    }

    private @Nullable DirtyBitmap bitmapFor(UserMemoryRegion region, @Nullable Memslot old) {
        if ((region.flags() & SlotFlags.LOG_DIRTY_PAGES) == 0) {
            return null;
        }
        DirtyBitmap kept = old == null ? null : old.bitmap();
        if (kept != null) {
            return kept;
        }
        try {
            return bitmapPolicy.newBitmap(Page.numberOf(region.sizeBytes()));
        } catch (OutOfMemoryError e) {
            // One large array did not fit; the heap is otherwise intact.
            throw RegionChecks.refused(Errno.ENOMEM, region, "no memory for the dirty bitmap");
        }
    }

    /// Publishes the set with `next` (null: nothing) in place of `old` (null: nothing).
    private void publish(@Nullable Memslot old, @Nullable Memslot next) {
        int asId = Objects.requireNonNull(next != null ? next : old).asId();
        MemslotSet set = publisher.active(asId);
        MemslotSet contents;
        if (old == null) {
            contents = set.plus(Objects.requireNonNull(next));
        } else if (next == null) {
            contents = set.minus(old);
        } else {
            contents = set.replacing(old, next);
        }
        publisher.publish(
                asId,
                contents,
                generation ->
                        listeners.forEach(
                                listener -> listener.generationChanged(asId, generation)));
    }

    @GuardedBy("lock")
    private void commit(SlotChange change) {
        Memslot old = change.oldSlot();
        Memslot slot = change.newSlot();
        totalPages += pages(slot) - pages(old);
        loggingSlots = loggingSlots + logging(slot) - logging(old);
        for (SlotListener listener : listeners) {
            listener.commit(change);
        }
    }

    private static long pages(@Nullable Memslot slot) {
        return slot == null ? 0 : slot.npages();
    }

    private static int logging(@Nullable Memslot slot) {
        return slot != null && slot.logsDirty() ? 1 : 0;
    }
}
