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

    Discard(PoolState pool, Share device) {
        this.pool = pool;
        this.device = device;
        this.unitPages = pool.parts.unitPages();
    }

    void run(long firstPage, long npages) {
        long endPage = firstPage + npages;
        List<Unit> leaving = new ArrayList<>();
        for (long page = firstPage; page < endPage; ) {
            long unitStart = page - page % unitPages;
            long end = Math.min(endPage, unitStart + unitPages);
            boolean whole = page == unitStart && end == unitStart + unitPages;
            Unit out = take((int) (page / unitPages), whole, page - unitStart, end - page);
            if (out != null) {
                leaving.add(out);
            }
            if (leaving.size() == BATCH) {
                free(leaving);
                leaving.clear();
            }
            page = end;
        }
        free(leaving);
        giveSurplusBack();
    }

    /// @param first the first page in the unit
    /// @return the unit, if its frame must be scrubbed: it is LEAVING then
    private @Nullable Unit take(int index, boolean whole, long first, long npages) {
        Patience patience = device.patience();
        Unit unit;
        pool.lock.lock();
        try {
            unit = device.holding.find(index);
            if (unit == null) {
                return null;
            }
            while (unit.isInTransit() || (whole && unit.copies > 0)) {
                patience.await(pool.changed, Long.MAX_VALUE);
            }
            device.requireAliveLocked();
            switch (unit.state) {
                case RESIDENT -> {
                    if (whole && unit.pins == 0) {
                        unit.state = Unit.State.LEAVING;
                        return unit;
                    }
                    unit.copies++;
                }
                case STORED -> {
                    unit.state = Unit.State.READING;
                }
                default -> {
                    return null;
                }
            }
        } finally {
            pool.lock.unlock();
        }
        clearInPlace(unit, first, npages);
        return null;
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

    /// Scrubs the frames of LEAVING units; they are the device's spare ones then.
    private void free(List<Unit> leaving) {
        if (leaving.isEmpty()) {
            return;
        }
        List<Long> frames = leaving.stream().map(unit -> unit.pfn).toList();
        boolean revoked = false;
        List<Long> clean = List.of();
        try {
            device.revoke(leaving, List.of());
            revoked = true;
            clean = pool.parts.bank().scrub(frames, device.owner().uuid());
        } finally {
            pool.lock.lock();
            try {
                for (Unit unit : leaving) {
                    if (revoked) {
                        unit.state = Unit.State.ABSENT;
                    } else {
                        device.holding.stay(unit);
                    }
                }
                if (revoked) {
                    device.holding.held -= frames.size() - clean.size();
                    device.holding.spares.addAll(clean);
                }
                pool.changed.signalAll();
            } finally {
                pool.lock.unlock();
            }
        }
    }

    private void giveSurplusBack() {
        List<Long> frames = new ArrayList<>();
        pool.lock.lock();
        try {
            Holding holding = device.holding;
            while (holding.surplus() > 0 && !holding.spares.isEmpty()) {
                frames.add(holding.spares.removeLast());
                holding.leaving++;
            }
        } finally {
            pool.lock.unlock();
        }
        if (!frames.isEmpty()) {
            new HandOver(pool, device, null, frames.size()).pass(frames, frames);
        }
    }
}
