package dev.mdev.core.device;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.PfnRange;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/// The pages of one parent's pools: which are free, and which belong to whom. What is available is
/// always computed from the free extents; nothing is counted along.
final class Capacity {
    private final ReentrantLock extents = new ReentrantLock();

    @GuardedBy("extents")
    private final Map<String, ExtentMap> free = new LinkedHashMap<>();

    Capacity(List<ResourcePool> pools) {
        extents.lock();
        try {
            for (ResourcePool pool : pools) {
                if (free.put(pool.name(), new ExtentMap(pool.pfns())) != null) {
                    throw new MdevException(Errno.EINVAL, "two pools of one name: " + pool.name());
                }
            }
        } finally {
            extents.unlock();
        }
    }

    /// Takes what a device of `type` needs, all of it or nothing.
    ///
    /// @throws MdevException EUSERS if it does not fit, saying why
    List<PoolShare> allocate(MdevType type) {
        extents.lock();
        try {
            List<PoolShare> shares = new ArrayList<>();
            for (MdevType.Demand demand : type.demands()) {
                Optional<List<PfnRange>> taken = poolLocked(demand).take(demand);
                if (taken.isEmpty()) {
                    String reason = refusalLocked(demand);
                    shares.forEach(this::putBackLocked);
                    throw new MdevException(Errno.EUSERS, "type=" + type.id() + " " + reason);
                }
                shares.add(new PoolShare(demand.pool(), taken.get()));
            }
            return List.copyOf(shares);
        } finally {
            extents.unlock();
        }
    }

    /// Gives pages back; they may be taken again at once.
    void release(List<PoolShare> shares) {
        extents.lock();
        try {
            shares.forEach(this::putBackLocked);
        } finally {
            extents.unlock();
        }
    }

    /// How many more devices of `type` fit at this moment, at most `limit`.
    int available(MdevType type, int limit) {
        extents.lock();
        try {
            Map<String, ExtentMap> trial = new LinkedHashMap<>();
            free.forEach((pool, map) -> trial.put(pool, map.copy()));
            for (int fitting = 0; fitting < limit; fitting++) {
                for (MdevType.Demand demand : type.demands()) {
                    ExtentMap pool = trial.get(demand.pool());
                    if (pool == null || pool.take(demand).isEmpty()) {
                        return fitting;
                    }
                }
            }
            return limit;
        } finally {
            extents.unlock();
        }
    }

    /// Why a device of `type` does not fit now, or nothing if it does.
    Optional<String> explain(MdevType type) {
        extents.lock();
        try {
            for (MdevType.Demand demand : type.demands()) {
                if (poolLocked(demand).copy().take(demand).isEmpty()) {
                    return Optional.of(refusalLocked(demand));
                }
            }
            return Optional.empty();
        } finally {
            extents.unlock();
        }
    }

    /// Each pool's state.
    List<PoolUsage> usage() {
        extents.lock();
        try {
            List<PoolUsage> usage = new ArrayList<>();
            free.forEach((pool, map) ->
                    usage.add(
                            new PoolUsage(
                                    pool,
                                    map.bounds().npages(),
                                    map.freePages(),
                                    map.largestFree())));
            return usage;
        } finally {
            extents.unlock();
        }
    }

    @GuardedBy("extents")
    private ExtentMap poolLocked(MdevType.Demand demand) {
        ExtentMap pool = free.get(demand.pool());
        if (pool == null) {
            throw new MdevException(Errno.EINVAL, "the parent has no pool=" + demand.pool());
        }
        return pool;
    }

    @GuardedBy("extents")
    private void putBackLocked(PoolShare share) {
        ExtentMap pool = free.get(share.pool());
        if (pool == null) {
            throw new MdevException(Errno.EINVAL, "the parent has no pool=" + share.pool());
        }
        share.extents().forEach(pool::put);
    }

    @GuardedBy("extents")
    private String refusalLocked(MdevType.Demand demand) {
        ExtentMap pool = poolLocked(demand);
        return "does not fit: pool=%s needs %d pages%s aligned to %d, %d are free, the largest free extent has %d"
                .formatted(
                        demand.pool(),
                        demand.npages(),
                        demand.contiguous() ? " in one extent" : "",
                        demand.alignPages(),
                        pool.freePages(),
                        pool.largestFree());
    }
}
