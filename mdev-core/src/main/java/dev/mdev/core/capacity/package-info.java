/// The tenant of each page of a parent, what still fits, and which devices to move so that more
/// fits.
///
/// [Capacity][dev.mdev.core.capacity.Capacity] hands out pages; each pool is a
/// [PoolMap][dev.mdev.core.capacity.PoolMap] of extents, in which every page has one
/// [Tenant][dev.mdev.core.capacity.Tenant] or is free.
/// [DefragPlanner][dev.mdev.core.capacity.DefragPlanner] works on a snapshot of a pool,
/// [PoolView][dev.mdev.core.capacity.PoolView], and changes nothing. This package calls no driver.
///
/// `Capacity.extents` is the only lock: a leaf.
@NullMarked
package dev.mdev.core.capacity;

import org.jspecify.annotations.NullMarked;
