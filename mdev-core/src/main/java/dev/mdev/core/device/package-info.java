/// Parents and mediated devices: what they are, who holds them, and how a holder reaches them.
///
/// Two places call driver code on behalf of guests:
/// [RegionVmaOps][dev.mdev.core.mapping.RegionVmaOps] asks for mappings, and
/// [Mdev][dev.mdev.core.device.Mdev] forwards register accesses. Both go through
/// [DriverCalls][dev.mdev.core.driver.DriverCalls], which calls a device's methods one at a time,
/// measures them, and turns whatever they throw into a value. The core believes an answer only
/// after [GrantCheck][dev.mdev.core.mapping.GrantCheck].
@NullMarked
package dev.mdev.core.device;

import org.jspecify.annotations.NullMarked;
