/// Elastic shares: physical pages that devices get at the first use, and give up when others need
/// them.
///
/// Each device has a [Holding] of an [ElasticPool]: its units, its frames, and the order in which
/// it would give them up. [DeviceMemory] is a device's share as its driver and its faults use it.
/// [RoomMaker] finds frames: spare ones, free ones of the [FrameBank], and those that an [Eviction]
/// takes from the device that has the most above its minimum.
///
/// `PoolState.lock` guards all units, holdings and places. It is not held while a driver is asked,
/// a mapping is revoked, or content is copied: the unit is in transit meanwhile, and others wait
/// for it. **A thread with a unit in transit never waits for another unit or for a frame.** So no
/// two faults wait for each other's pages.
@NullMarked
package dev.mdev.core.elastic;

import org.jspecify.annotations.NullMarked;
