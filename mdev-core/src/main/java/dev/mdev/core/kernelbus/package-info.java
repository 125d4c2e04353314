/// The driver of the kernel's own mdev bus (Linux `drivers/vfio/mdev`,
/// `Documentation/driver-api/vfio-mediated-device.rst`).
///
/// Read in this order: [KernelBusDriver] (finds parents), [KernelBusParent] (types, devices, what
/// is left), [KernelBusDevice] (one device), [KernelTree] (the files of sysfs), [VfioUsers] (who
/// has a device open), [BusWatch] (what other programs do).
@NullMarked
package dev.mdev.core.kernelbus;

import org.jspecify.annotations.NullMarked;
