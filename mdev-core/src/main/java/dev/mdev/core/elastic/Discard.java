package dev.mdev.core.elastic;

import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Sets pages of a share to zero: forgets what is in the store, and takes the frames of whole units
/// back. What the device then has above its minimum becomes free.
final class Discard {
    /// The most units that are scrubbed in one go.
    private static final int BATCH = 64;

    private final PoolState pool;
    private final Share device;
    private final int unitPages;

    /// Units that this made LEAVING. It waits for no other unit as long as there is one.
    private final List<Unit> leaving = new ArrayList<>();

    Discard(PoolState pool, Share device) {
        this.pool = pool;
        this.device = device;
        this.unitPages = pool.parts.unitPages();
    }

    void run(long firstPage, long npages) {
        long endPage = firstPage + npages;
        try {
            for (long page = firstPage; page < endPage; ) {
                long unitStart = page - page % unitPages;
                long end = Math.min(endPage, unitStart + unitPages);
                Part part = new Part((int) (page / unitPages), page - unitStart, end - page);
                if (!take(part, null)) {
                    // The units that are leaving go first: somebody may wait for them.
                    free();
                    var _ = take(part, device.patience());
                }
                if (leaving.size() == BATCH) {
                    free();
                }
                page = end;
            }
            free();
        } finally {
            stay();
        }
        giveSurplusBack();
    }

    /// Pages of a unit.
    ///
    /// @param first the first page in the unit
    private record Part(int index, long first, long npages) {}

    /// Sets a part to zero, or lets its unit leave.
    ///
    /// @param patience how long to wait for others that work on the unit; null if no unit is
    ///   leaving that they may wait for, and so this one must not be waited for
    /// @return false if somebody works on it, and there is no patience
    private boolean take(Part part, @Nullable Patience patience) {
        boolean whole = part.npages == unitPages;
        Unit unit;
        pool.lock.lock();
        try {
            device.requireAliveLocked();
            unit = device.holding.find(part.index);
            if (unit == null) {
                return true;
            }
            while (unit.isInTransit() || (whole && unit.copies > 0)) {
                if (patience == null) {
                    return false;
                }
                patience.await(pool.changed, Long.MAX_VALUE);
                device.requireAliveLocked();
            }
            switch (unit.state) {
                case RESIDENT -> {
                    if (whole && unit.pins == 0) {
                        unit.state = Unit.State.LEAVING;
                        leaving.add(unit);
                        return true;
                    }
                    unit.copies++;
                }
                case STORED -> {
                    unit.state = Unit.State.READING;
                }
                default -> {
                    return true;
                }
            }
        } finally {
            pool.lock.unlock();
        }
        clearInPlace(unit, part.first, part.npages);
        return true;
    }

    private void clearInPlace(Unit unit, long first, long npages) {
        long start = device.firstPageOf(unit) + first;
        boolean resident = unit.state == Unit.State.RESIDENT;
        try {
            if (resident) {
                byte[] zeroes = new byte[(int) Page.bytesOf(npages)];
                pool.parts
                        .bank()
                        .write(unit.pfn, Page.bytesOf(first), MemorySegment.ofArray(zeroes));
            } else {
                for (long page = start; page < start + npages; page++) {
                    device.stored.drop(page);
                }
            }
        } finally {
            pool.lock.lock();
            try {
                if (resident) {
                    unit.copies--;
                } else {
                    unit.state = device.hasStored(unit) ? Unit.State.STORED : Unit.State.ABSENT;
                }
                pool.changed.signalAll();
            } finally {
                pool.lock.unlock();
            }
        }
    }

    /// Scrubs the frames of the leaving units; they are the device's spare ones then.
    private void free() {
        if (leaving.isEmpty()) {
            return;
        }
        device.revoke(leaving, List.of());
        List<Long> frames = leaving.stream().map(unit -> unit.pfn).toList();
        List<Long> clean = List.of();
        try {
            clean = pool.scrub(frames, device);
        } finally {
            pool.lock.lock();
            try {
                leaving.forEach(unit -> unit.state = Unit.State.ABSENT);
                leaving.clear();
                device.holding.held -= frames.size() - clean.size();
                device.holding.spares.addAll(clean);
                pool.changed.signalAll();
            } finally {
                pool.lock.unlock();
            }
        }
    }

    /// After a failure, the units that did not leave stay with their content.
    private void stay() {
        if (leaving.isEmpty()) {
            return;
        }
        pool.lock.lock();
        try {
            leaving.forEach(device.holding::stay);
            leaving.clear();
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }

    private void giveSurplusBack() {
        List<Long> frames = new ArrayList<>();
        HandOver handOver;
        pool.lock.lock();
        try {
            device.requireAliveLocked();
            Holding holding = device.holding;
            int surplus = holding.surplus();
            while (frames.size() < surplus && !holding.spares.isEmpty()) {
                frames.add(holding.spares.removeLast());
            }
            handOver = HandOver.beginLocked(pool, device, null, frames.size());
        } finally {
            pool.lock.unlock();
        }
        handOver.pass(frames, frames);
    }
}
