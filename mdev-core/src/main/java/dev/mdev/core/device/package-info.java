/// Parents and mediated devices: their descriptions, their holders, and how a holder reaches them.
///
/// Two places call driver code on behalf of guests:
/// [RegionVmaOps][dev.mdev.core.mapping.RegionVmaOps] asks for mappings, and
/// [Mdev][dev.mdev.core.device.Mdev] forwards register accesses. Both go through
/// [DriverCalls][dev.mdev.core.driver.DriverCalls], which calls a device's methods one at a time,
/// measures them, and turns every exception into a value. The core trusts an answer only after
/// [GrantCheck][dev.mdev.core.mapping.GrantCheck].
@NullMarked
package dev.mdev.core.device;

import org.jspecify.annotations.NullMarked;
