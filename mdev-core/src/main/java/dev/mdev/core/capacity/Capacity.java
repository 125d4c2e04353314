package dev.mdev.core.capacity;

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
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.stream.Collectors;

/// The pages of one parent's pools, free or with their tenants. Availability is always computed
/// from the free extents; there is no separate counter.
///
/// All methods may be called by any thread.
public final class Capacity {
    private final ReentrantLock extents = new ReentrantLock();

    @GuardedBy("extents")
    private final Map<String, PoolMap> pools = new LinkedHashMap<>();

    public Capacity(List<ResourcePool> all) {
        this(all, Set.of());
    }

    /// @param shared the names of the pools whose pages belong to no device
    public Capacity(List<ResourcePool> all, Set<String> shared) {
        extents.lock();
        try {
            for (ResourcePool pool : all) {
                if (pools.put(pool.name(), new PoolMap(pool.name(), pool.pfns())) != null) {
                    throw new MdevException(
                            Errno.EINVAL, "two pools have the same name: " + pool.name());
                }
                if (shared.contains(pool.name())) {
                    poolLocked(pool.name()).takeAt(pool.pfns(), new Tenant.Shared());
                }
            }
        } finally {
            extents.unlock();
        }
    }

    /// Takes the pages that a device of `type` needs, all or none: of an elastic demand, the
    /// guaranteed minimum.
    ///
    /// @throws MdevException EUSERS with the reason if it does not fit
    public List<PoolShare> allocate(MdevType type, Tenant tenant) {
        extents.lock();
        try {
            List<PoolShare> shares = new ArrayList<>();
            for (MdevType.Demand demand : type.demands()) {
                PoolMap pool = poolLocked(demand.pool());
                Optional<List<PfnRange>> taken = pool.take(demand, tenant);
                if (taken.isEmpty()) {
                    String reason = refusal(pool, demand);
                    shares.forEach(share -> releaseLocked(share, tenant));
                    throw new MdevException(Errno.EUSERS, "type=" + type.id() + " " + reason);
                }
                shares.add(new PoolShare(demand.pool(), taken.get()));
            }
            checkLocked();
            return List.copyOf(shares);
        } finally {
            extents.unlock();
        }
    }

    /// Takes exactly these pages, all or none.
    ///
    /// @throws MdevException EINVAL if some are not free, or not in the pool
    public void allocateAt(List<PoolShare> wanted, Tenant tenant) {
        extents.lock();
        try {
            List<PoolShare> done = new ArrayList<>();
            try {
                for (PoolShare share : wanted) {
                    for (PfnRange extent : share.extents()) {
                        poolLocked(share.pool()).takeAt(extent, tenant);
                        done.add(new PoolShare(share.pool(), List.of(extent)));
                    }
                }
            } catch (MdevException e) {
                done.forEach(share -> releaseLocked(share, tenant));
                throw e;
            }
            checkLocked();
        } finally {
            extents.unlock();
        }
    }

    /// Takes the free pages among these.
    ///
    /// @return the taken pages
    public List<PfnRange> takeFree(PfnRange pfns, Tenant tenant) {
        extents.lock();
        try {
            List<PfnRange> taken = new ArrayList<>();
            for (PoolMap pool : pools.values()) {
                for (PfnRange part : pool.free().within(pfns)) {
                    pool.takeAt(part, tenant);
                    taken.add(part);
                }
            }
            checkLocked();
            return taken;
        } finally {
            extents.unlock();
        }
    }

    /// Takes free units for a tenant with an elastic demand.
    ///
    /// @return up to `most` units, ascending, neighbours together
    public List<PfnRange> takeUnits(String pool, long most, long unitPages, Tenant tenant) {
        extents.lock();
        try {
            return poolLocked(pool).takeUnits(most, unitPages, tenant);
        } finally {
            extents.unlock();
        }
    }

    /// Passes pages of one pool from one tenant to another, all of them.
    public void pass(String pool, List<PfnRange> pages, Tenant from, Tenant to) {
        extents.lock();
        try {
            PoolMap map = poolLocked(pool);
            pages.forEach(pfns -> map.pass(pfns, from, to));
        } finally {
            extents.unlock();
        }
    }

    /// Frees all pages of a tenant, which are clean.
    public void releaseAll(Tenant tenant) {
        extents.lock();
        try {
            pagesOfLocked(tenant).forEach(pfns -> poolOfLocked(pfns).release(pfns, tenant));
            checkLocked();
        } finally {
            extents.unlock();
        }
    }

    /// Frees these pages of a tenant: they may be taken again at once.
    public void release(List<PoolShare> shares, Tenant tenant) {
        extents.lock();
        try {
            shares.forEach(share -> releaseLocked(share, tenant));
            checkLocked();
        } finally {
            extents.unlock();
        }
    }

    @GuardedBy("extents")
    private void releaseLocked(PoolShare share, Tenant tenant) {
        PoolMap pool = poolLocked(share.pool());
        share.extents().forEach(extent -> pool.release(extent, tenant));
    }

    /// Frees pages of a tenant, in any pool.
    public void releasePages(PfnRange pfns, Tenant tenant) {
        extents.lock();
        try {
            poolOfLocked(pfns).release(pfns, tenant);
            checkLocked();
        } finally {
            extents.unlock();
        }
    }

    /// Passes pages of one tenant to another.
    public void pass(PfnRange pfns, Tenant from, Tenant to) {
        extents.lock();
        try {
            poolOfLocked(pfns).pass(pfns, from, to);
            checkLocked();
        } finally {
            extents.unlock();
        }
    }

    /// Passes all pages of one tenant to another, which must have none.
    ///
    /// @return the passed pages
    public List<PfnRange> passAll(Tenant from, Tenant to) {
        extents.lock();
        try {
            List<PfnRange> passed = pagesOfLocked(from);
            passed.forEach(pfns -> poolOfLocked(pfns).pass(pfns, from, to));
            checkLocked();
            return passed;
        } finally {
            extents.unlock();
        }
    }

    /// The devices with pages.
    public Set<UUID> devices() {
        extents.lock();
        try {
            return pools.values().stream()
                    .flatMap(pool -> pool.taken().stream())
                    .map(PoolMap.Taken::tenant)
                    .filter(Tenant.Device.class::isInstance)
                    .map(tenant -> ((Tenant.Device) tenant).uuid())
                    .collect(Collectors.toSet());
        } finally {
            extents.unlock();
        }
    }

    /// All pages of a tenant.
    public List<PfnRange> pagesOf(Tenant tenant) {
        extents.lock();
        try {
            return pagesOfLocked(tenant);
        } finally {
            extents.unlock();
        }
    }

    @GuardedBy("extents")
    private List<PfnRange> pagesOfLocked(Tenant tenant) {
        return pools.values().stream()
                .flatMap(pool -> pool.taken().stream())
                .filter(taken -> taken.tenant().equals(tenant))
                .map(PoolMap.Taken::pfns)
                .toList();
    }

    /// How many more devices of `type` fit at this moment, at most `limit`.
    public int available(MdevType type, int limit) {
        extents.lock();
        try {
            Map<String, PoolTrial> trial = new LinkedHashMap<>();
            pools.forEach((name, pool) -> trial.put(name, new PoolTrial(pool)));
            for (int fitting = 0; fitting < limit; fitting++) {
                for (MdevType.Demand demand : type.demands()) {
                    PoolTrial pool = trial.get(demand.pool());
                    if (pool == null || !pool.take(demand)) {
                        return fitting;
                    }
                }
            }
            return limit;
        } finally {
            extents.unlock();
        }
    }

    /// Pages that must be reclaimed from elastic shares before a device of `type` fits in a pool; 0
    /// if that is not what is missing.
    public long missing(MdevType.Demand demand) {
        extents.lock();
        try {
            PoolMap pool = poolLocked(demand.pool());
            return pool.free().take(demand).isPresent()
                    ? 0
                    : Math.min(
                            pool.reclaimablePages(),
                            Math.max(
                                    demand.alignPages(),
                                    demand.minPages() - pool.free().freePages()));
        } finally {
            extents.unlock();
        }
    }

    /// Why a device of `type` does not fit now, or nothing if it fits.
    public Optional<String> explain(MdevType type) {
        extents.lock();
        try {
            for (MdevType.Demand demand : type.demands()) {
                PoolMap pool = poolLocked(demand.pool());
                if (pool.free().take(demand).isEmpty()) {
                    return Optional.of(refusal(pool, demand));
                }
            }
            return Optional.empty();
        } finally {
            extents.unlock();
        }
    }

    /// Each pool's state.
    public List<PoolUsage> usage() {
        extents.lock();
        try {
            return pools.values().stream().map(PoolMap::usage).toList();
        } finally {
            extents.unlock();
        }
    }

    /// Runs a query on a pool while nothing changes. The query must take no lock.
    public <T> T ask(String pool, Function<PoolMap, T> question) {
        extents.lock();
        try {
            return question.apply(poolLocked(pool));
        } finally {
            extents.unlock();
        }
    }

    @GuardedBy("extents")
    private PoolMap poolLocked(String name) {
        PoolMap pool = pools.get(name);
        if (pool == null) {
            throw new MdevException(Errno.EINVAL, "the parent has no pool=" + name);
        }
        return pool;
    }

    @GuardedBy("extents")
    private PoolMap poolOfLocked(PfnRange pfns) {
        for (PoolMap pool : pools.values()) {
            if (pool.bounds().contains(pfns)) {
                return pool;
            }
        }
        throw new IllegalStateException("in no pool: " + pfns);
    }

    private static String refusal(PoolMap pool, MdevType.Demand demand) {
        PoolUsage usage = pool.usage();
        String refusal =
                "does not fit: pool=%s needs %d pages%s aligned to %d, %d are free, the largest free extent has %d"
                        .formatted(
                                demand.pool(),
                                demand.minPages(),
                                demand.contiguous() ? " in one extent" : "",
                                demand.alignPages(),
                                usage.freePages(),
                                usage.largestFreePages());
        return usage.reclaimablePages() == 0
                ? refusal
                : "%s, %d can be reclaimed".formatted(refusal, usage.reclaimablePages());
    }

    @GuardedBy("extents")
    private void checkLocked() {
        assert pools.values().stream().allMatch(PoolMap::isTiled) : "a page is lost or shared";
    }
}
