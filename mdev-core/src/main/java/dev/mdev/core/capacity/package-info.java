/// Which pages of a parent are whose, what still fits, and which devices to move so that more does.
///
/// [Capacity][dev.mdev.core.capacity.Capacity] hands out pages; each pool is a
/// [PoolMap][dev.mdev.core.capacity.PoolMap] of extents, every page of which has one
/// [Tenant][dev.mdev.core.capacity.Tenant] or is free.
/// [DefragPlanner][dev.mdev.core.capacity.DefragPlanner] computes on a picture of a pool,
/// [PoolView][dev.mdev.core.capacity.PoolView], and changes nothing. No driver is called from here.
///
/// `Capacity.extents` is the only lock: a leaf.
@NullMarked
package dev.mdev.core.capacity;

import org.jspecify.annotations.NullMarked;
