package dev.mdev.host.parent;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.device.Parent;
import dev.mdev.core.elastic.ElasticUsage;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.function.ToLongFunction;

/// A parent's capacity, and the owners of its pages.
///
/// @param presence whether it can be used
/// @param scrubbedBytes bytes set to zero and read back so far
/// @param scrubFailures failed attempts to scrub a page
record CapacityView(
        String parent,
        Parent.Presence presence,
        List<Pool> pools,
        List<Type> types,
        long scrubbedBytes,
        long scrubFailures) {

    /// A pool.
    ///
    /// @param reclaimablePages what devices have above their guaranteed minimum
    /// @param guaranteedPages the guaranteed minimums of all devices with elastic shares
    /// @param usedPages pages of elastic shares with content
    /// @param storedPages pages of elastic shares that are in the backing store
    /// @param elastic what each device that the caller sees has of an elastic share
    /// @param extents all its pages, ascending, without gaps
    record Pool(
            String pool,
            long totalPages,
            long freePages,
            long largestFreePages,
            long reclaimablePages,
            long guaranteedPages,
            long usedPages,
            long storedPages,
            List<Elastic> elastic,
            List<Extent> extents) {}

    /// What a device has of an elastic share.
    ///
    /// @param minPages the guaranteed pages
    /// @param maxPages the most that it can use
    /// @param heldPages physical pages that it has
    /// @param usedPages those of them with content
    /// @param storedPages pages in the backing store
    /// @param pinnedPages pages that its driver keeps
    /// @param evictedPages pages that were taken away so far
    /// @param returnedPages pages that came back so far
    record Elastic(
            UUID mdev,
            long minPages,
            long maxPages,
            long heldPages,
            long usedPages,
            long storedPages,
            long pinnedPages,
            long evictedPages,
            long returnedPages) {
        static Elastic of(ElasticUsage usage) {
            return new Elastic(
                    usage.uuid(),
                    usage.minPages(),
                    usage.maxPages(),
                    usage.heldPages(),
                    usage.usedPages(),
                    usage.storedPages(),
                    usage.pinnedPages(),
                    usage.evictedPages(),
                    usage.returnedPages());
        }
    }

    /// Pages with the same use.
    ///
    /// @param firstPage counted from the pool's first
    /// @param mdev their device, if they belong to one that the caller sees
    record Extent(long firstPage, long pages, PoolExtent.Use use, @Nullable UUID mdev) {}

    /// A type.
    ///
    /// @param available how many more could be created now, one after the other
    record Type(String id, int available, @Nullable Integer maxInstances) {}

    /// @param sees which devices the caller sees
    static CapacityView of(MdevBus bus, Parent parent, Predicate<UUID> sees) {
        return new CapacityView(
                parent.name(),
                parent.presence(),
                parent.usage().stream().map(usage -> pool(parent, usage, sees)).toList(),
                parent.types().stream()
                        .map(type ->
                                new Type(
                                        type.id(),
                                        Availability.of(bus, parent, type),
                                        TypeView.limit(type.maxInstances())))
                        .toList(),
                parent.scrubbedBytes(),
                parent.scrubFailures());
    }

    private static Pool pool(Parent parent, PoolUsage usage, Predicate<UUID> sees) {
        List<ElasticUsage> elastic =
                parent.elasticUsage().stream()
                        .filter(one -> one.pool().equals(usage.pool()))
                        .toList();
        return new Pool(
                usage.pool(),
                usage.totalPages(),
                usage.freePages(),
                usage.largestFreePages(),
                usage.reclaimablePages(),
                sum(elastic, ElasticUsage::minPages),
                sum(elastic, ElasticUsage::usedPages),
                sum(elastic, ElasticUsage::storedPages),
                elastic.stream().filter(one -> sees.test(one.uuid())).map(Elastic::of).toList(),
                parent.extents(usage.pool()).stream()
                        .map(extent ->
                                new Extent(
                                        extent.firstPage(),
                                        extent.npages(),
                                        extent.use(),
                                        extent.uuid().filter(sees).orElse(null)))
                        .toList());
    }

    private static long sum(List<ElasticUsage> all, ToLongFunction<ElasticUsage> value) {
        return all.stream().mapToLong(value).sum();
    }
}
