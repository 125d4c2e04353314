package dev.mdev.core.capacity;

import dev.mdev.api.MdevType;

/// What would be left of a pool after some more devices. Elastic shares give up what they have
/// above their minimum, wherever that is, so it counts for elastic demands only: they take any
/// pages.
final class PoolTrial {
    private final ExtentMap free;
    private long reclaimable;

    PoolTrial(PoolMap pool) {
        free = pool.free();
        reclaimable = pool.reclaimablePages();
    }

    boolean take(MdevType.Demand demand) {
        if (free.take(demand).isPresent()) {
            return true;
        }
        long missing = demand.minPages() - free.freePages();
        if (!demand.isElastic() || missing > reclaimable) {
            return false;
        }
        free.extents().forEach(free::remove);
        reclaimable -= Math.max(0, missing);
        return true;
    }
}
