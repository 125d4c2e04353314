/// The device bus: parents, types, mediated devices, and what stands between a driver's answer and
/// a guest's mapping.
///
/// The life cycle is in parts: [Starter][dev.mdev.core.device.Starter] makes devices,
/// [Ender][dev.mdev.core.device.Ender] and [DeviceEnd][dev.mdev.core.device.DeviceEnd] end them,
/// [Arrivals][dev.mdev.core.device.Arrivals] finds out what a parent already has,
/// [Recovery][dev.mdev.core.device.Recovery] ends what a crash interrupted,
/// [Scrubber][dev.mdev.core.device.Scrubber] makes pages fit for the next tenant,
/// [RoomMaker][dev.mdev.core.device.RoomMaker] explains and moves.
///
/// Two places call driver code on behalf of guests:
/// [RegionVmaOps][dev.mdev.core.device.RegionVmaOps] asks for mappings, and
/// [Mdev][dev.mdev.core.device.Mdev] forwards register accesses. Both go through
/// [DriverCalls][dev.mdev.core.device.DriverCalls], which calls a device's methods one at a time,
/// measures them, and turns whatever they throw into a value. Answers are believed only after
/// [GrantCheck][dev.mdev.core.device.GrantCheck].
///
/// ## Locks
///
/// ```
/// DriverCalls.serial        a driver object's turn: held while its code runs, taken with no other
///                           lock held
///   Registry.registry       which parents and devices there are
///     Capacity.extents      which pages are whose; a leaf
///     Assignment.assignment who holds a device; a leaf
///   Ledger.recording        what is remembered; held during I/O, taken with neither of the above
///   EventLog.lock           the last events; a leaf
/// ```
///
/// The right to change a device is not a lock but a claim
/// ([Registry][dev.mdev.core.device.Registry]): it is held over calls of driver code and over
/// waiting, and whoever comes second is refused rather than made to wait.
@NullMarked
package dev.mdev.core.device;

import org.jspecify.annotations.NullMarked;
