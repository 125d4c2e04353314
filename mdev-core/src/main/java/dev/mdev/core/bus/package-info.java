/// The bus: the parents and devices, and the verbs that create, remove, move, save and restore
/// devices so that a crash at any step leaves the old or the new state.
///
/// [DeviceCreator][dev.mdev.core.bus.DeviceCreator] creates devices,
/// [DeviceRemover][dev.mdev.core.bus.DeviceRemover] and
/// [DeviceTeardown][dev.mdev.core.bus.DeviceTeardown] end them,
/// [ParentScan][dev.mdev.core.bus.ParentScan] finds the existing devices of a parent,
/// [Recovery][dev.mdev.core.bus.Recovery] completes or undoes verbs that a crash interrupted,
/// [Scrubber][dev.mdev.core.bus.Scrubber] makes pages fit for the next tenant,
/// [Defragmenter][dev.mdev.core.bus.Defragmenter] explains and moves.
///
/// ## Locks
///
/// ```
/// DriverCalls.serial        a driver object's turn: held while its code runs, taken with no other
///                           lock held
///   Registry.registry       which parents and devices there are
///     Capacity.extents      which pages are whose; a leaf
///     Assignment.assignment the holder of a device; a leaf
///   Ledger.recording        what is remembered; held during I/O, taken with neither of the above
///   EventQueue.lock         events that were not delivered yet; a leaf
/// ```
///
/// The right to change a device is a claim, not a lock ([VerbLocks][dev.mdev.core.bus.VerbLocks]):
/// a verb holds it over calls of driver code and over waiting, and a second caller is refused at
/// once.
@NullMarked
package dev.mdev.core.bus;

import org.jspecify.annotations.NullMarked;
