package dev.mdev.api;

import dev.mdev.api.page.PfnRange;

import java.util.List;
import java.util.Objects;

/// The pages of one pool that belong to one mediated device. Only these may be granted to its
/// guest.
///
/// @param pool the pool's name
/// @param extents disjoint, in ascending order, at least one
public record PoolShare(String pool, List<PfnRange> extents) {
    public PoolShare {
        Objects.requireNonNull(pool);
        extents = List.copyOf(extents);
    }

    /// The pages of all extents.
    public long npages() {
        return extents.stream().mapToLong(PfnRange::npages).sum();
    }

    /// The physical page that is the share's page `index`, counted over the extents in order.
    ///
    /// @throws IndexOutOfBoundsException if the share has no such page
    public long pfnOf(long index) {
        return extentFrom(index).firstPfn();
    }

    /// What is left of an extent from the share's page `index` on, to the end of that extent: the
    /// pages that follow `index` in the share and in the aperture alike.
    ///
    /// @throws IndexOutOfBoundsException if the share has no such page
    public PfnRange extentFrom(long index) {
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
