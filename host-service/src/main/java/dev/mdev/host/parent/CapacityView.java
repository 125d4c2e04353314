package dev.mdev.host.parent;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.device.Parent;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.UUID;

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
    /// @param extents all its pages, ascending, without gaps
    record Pool(
            String pool,
            long totalPages,
            long freePages,
            long largestFreePages,
            List<Extent> extents) {}

    /// Pages with the same use.
    ///
    /// @param firstPage counted from the pool's first
    /// @param mdev their device, if they belong to one
    record Extent(long firstPage, long pages, PoolExtent.Use use, @Nullable UUID mdev) {}

    /// A type.
    ///
    /// @param available how many more could be created now, one after the other
    record Type(String id, int available, int maxInstances) {}

    static CapacityView of(MdevBus bus, Parent parent) {
        return new CapacityView(
                parent.name(),
                parent.presence(),
                parent.usage().stream().map(usage -> pool(parent, usage)).toList(),
                parent.types().stream()
                        .map(type ->
                                new Type(
                                        type.id(),
                                        Availability.of(bus, parent, type),
                                        type.maxInstances()))
                        .toList(),
                parent.scrubbedBytes(),
                parent.scrubFailures());
    }

    private static Pool pool(Parent parent, PoolUsage usage) {
        return new Pool(
                usage.pool(),
                usage.totalPages(),
                usage.freePages(),
                usage.largestFreePages(),
                parent.extents(usage.pool()).stream()
                        .map(extent ->
                                new Extent(
                                        extent.firstPage(),
                                        extent.npages(),
                                        extent.use(),
                                        extent.uuid().orElse(null)))
                        .toList());
    }
}
