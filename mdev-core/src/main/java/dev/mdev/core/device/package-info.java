/// The device bus: parents, types, mediated devices, and what stands between a driver's answer and
/// a guest's mapping.
///
/// Two places call driver code: [RegionVmaOps][dev.mdev.core.device.RegionVmaOps] asks for
/// mappings, and [Mdev][dev.mdev.core.device.Mdev] forwards register accesses. Both go through
/// [DriverCalls][dev.mdev.core.device.DriverCalls], which calls a device's methods one at a time,
/// measures them, and turns whatever they throw into a value. Answers are believed only after
/// [GrantCheck][dev.mdev.core.device.GrantCheck].
///
/// ## Locks
///
/// ```
/// DriverCalls.serial        a driver object's turn: held while its code runs, taken with no other
///                           lock held
///   MdevBus.registry        which parents and devices there are
///     Capacity.extents      which pages are free; a leaf
///     Mdev.assignment       who holds a device; a leaf
/// ```
@NullMarked
package dev.mdev.core.device;

import org.jspecify.annotations.NullMarked;
