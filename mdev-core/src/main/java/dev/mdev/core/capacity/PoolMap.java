package dev.mdev.core.capacity;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.page.PfnRange;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/// Every page of one pool, and its tenant. A page is free or has one tenant. Not safe for use by
/// several threads.
public final class PoolMap {
    private final String name;
    private final ExtentMap free;
    private final TreeMap<Long, Taken> taken = new TreeMap<>();

    /// The pages of each tenant that has any.
    private final Map<Tenant, Long> counts = new HashMap<>();

    /// The guaranteed pages of each tenant with an elastic demand.
    private final Map<Tenant, Long> minimums = new HashMap<>();

    PoolMap(String name, PfnRange bounds) {
        this.name = name;
        this.free = new ExtentMap(bounds);
    }

    /// Pages with one tenant.
    public record Taken(PfnRange pfns, Tenant tenant) {}

    public PfnRange bounds() {
        return free.bounds();
    }

    /// A copy of the free extents.
    public ExtentMap free() {
        return free.copy();
    }

    /// The pages that are not free, ascending.
    public List<Taken> taken() {
        return List.copyOf(taken.values());
    }

    Optional<List<PfnRange>> take(MdevType.Demand demand, Tenant tenant) {
        Optional<List<PfnRange>> found = free.take(demand);
        found.ifPresent(extents -> extents.forEach(extent -> note(extent, tenant)));
        if (found.isPresent() && demand.isElastic()) {
            minimums.put(tenant, demand.minPages());
        }
        return found;
    }

    /// Gives a tenant with an elastic demand up to `most` more units.
    List<PfnRange> takeUnits(long most, long unitPages, Tenant tenant) {
        List<PfnRange> found = free.takeUnits(most, unitPages);
        found.forEach(extent -> note(extent, tenant));
        return found;
    }

    /// Pages that tenants have above their guaranteed minimum.
    long reclaimablePages() {
        return minimums.entrySet().stream()
                .mapToLong(entry ->
                        Math.max(0, counts.getOrDefault(entry.getKey(), 0L) - entry.getValue()))
                .sum();
    }

    /// Gives a tenant these pages, which must be free.
    ///
    /// @throws MdevException EINVAL if some are not free, or not in this pool
    void takeAt(PfnRange pfns, Tenant tenant) {
        if (!free.contains(pfns)) {
            throw new MdevException(
                    Errno.EINVAL, "not free: pool=%s %s of %s".formatted(name, pfns, bounds()));
        }
        free.remove(pfns);
        note(pfns, tenant);
    }

    private void note(PfnRange pfns, Tenant tenant) {
        taken.put(pfns.firstPfn(), new Taken(pfns, tenant));
        counts.merge(tenant, pfns.npages(), Long::sum);
    }

    /// Frees pages of one tenant.
    void release(PfnRange pfns, Tenant tenant) {
        removeFrom(pfns, tenant);
        free.put(pfns);
    }

    /// Passes pages of one tenant to another.
    void pass(PfnRange pfns, Tenant from, Tenant to) {
        removeFrom(pfns, from);
        note(pfns, to);
    }

    private void removeFrom(PfnRange pfns, Tenant tenant) {
        long next = pfns.firstPfn();
        while (next < pfns.endPfn()) {
            Map.Entry<Long, Taken> entry = taken.floorEntry(next);
            if (entry == null
                    || !entry.getValue().pfns().contains(next)
                    || !entry.getValue().tenant().equals(tenant)) {
                throw new IllegalStateException(
                        "pool=%s pfn=0x%x is not of %s".formatted(name, next, tenant));
            }
            PfnRange whole = entry.getValue().pfns();
            long end = Math.min(whole.endPfn(), pfns.endPfn());
            taken.remove(entry.getKey());
            counts.merge(tenant, -whole.npages(), Long::sum);
            if (whole.firstPfn() < next) {
                note(new PfnRange(whole.firstPfn(), next - whole.firstPfn()), tenant);
            }
            if (end < whole.endPfn()) {
                note(new PfnRange(end, whole.endPfn() - end), tenant);
            }
            next = end;
        }
        if (counts.getOrDefault(tenant, 0L) == 0) {
            counts.remove(tenant);
            minimums.remove(tenant);
        }
    }

    public PoolUsage usage() {
        return new PoolUsage(
                name, bounds().npages(), free.freePages(), free.largestFree(), reclaimablePages());
    }

    /// The whole pool, ascending, without gaps.
    public List<PoolExtent> extents() {
        List<PoolExtent> all = new ArrayList<>();
        free.extents().forEach(pfns -> all.add(extent(pfns, PoolExtent.Use.FREE)));
        for (Taken one : taken.values()) {
            all.add(
                    switch (one.tenant()) {
                        case Tenant.Device device ->
                                new PoolExtent(
                                        one.pfns().firstPfn() - bounds().firstPfn(),
                                        one.pfns().npages(),
                                        PoolExtent.Use.DEVICE,
                                        Optional.of(device.uuid()));
                        case Tenant.Shared _ -> extent(one.pfns(), PoolExtent.Use.SHARED);
                        case Tenant.Scrubbing _ -> extent(one.pfns(), PoolExtent.Use.SCRUBBING);
                        case Tenant.Bad _ -> extent(one.pfns(), PoolExtent.Use.QUARANTINED);
                    });
        }
        all.sort(Comparator.comparingLong(PoolExtent::firstPage));
        return all;
    }

    private PoolExtent extent(PfnRange pfns, PoolExtent.Use use) {
        return new PoolExtent(
                pfns.firstPfn() - bounds().firstPfn(), pfns.npages(), use, Optional.empty());
    }

    /// Whether every page is exactly once free or taken.
    boolean isTiled() {
        long next = 0;
        for (PoolExtent extent : extents()) {
            if (extent.firstPage() != next) {
                return false;
            }
            next += extent.npages();
        }
        return next == bounds().npages();
    }
}
