package dev.mdev.api;

import dev.mdev.api.page.PfnRange;

import java.util.List;

/// The pages of one pool that belong to one mediated device. Only these may be granted to its
/// guest.
///
/// @param pool the pool's name
/// @param extents disjoint, in ascending order, at least one
public record PoolShare(String pool, List<PfnRange> extents) {
    public PoolShare {
        extents = List.copyOf(extents);
    }

    /// The pages of all extents.
    public long npages() {
        return extents.stream().mapToLong(PfnRange::npages).sum();
    }

    /// The extent or part of an extent that starts at the share's page `index` (counted over the
    /// extents in order) and runs to the end of that extent.
    ///
    /// @throws IndexOutOfBoundsException if the share has no such page
    public PfnRange runFrom(long index) {
        long rest = index;
        for (PfnRange extent : extents) {
            if (rest >= 0 && rest < extent.npages()) {
                return new PfnRange(extent.firstPfn() + rest, extent.npages() - rest);
            }
            rest -= extent.npages();
        }
        throw new IndexOutOfBoundsException("pool=" + pool + " page=" + index);
    }
}
