/// A PCI function as its guest sees it: configuration space with its capabilities, where the BARs
/// are, and interrupts with their masks.
///
/// [PciProfile][dev.mdev.core.pci.PciProfile] is what a driver says of its device, checked, and
/// [BarLayout][dev.mdev.core.pci.BarLayout] which BARs follow from that.
/// [PciConfigSpace][dev.mdev.core.pci.PciConfigSpace] is the registers, and what a write to them
/// changes; [InterruptSet][dev.mdev.core.pci.InterruptSet] the interrupts by VFIO's indices
/// (`VFIO_DEVICE_SET_IRQS`), which [FunctionInterrupts][dev.mdev.core.pci.FunctionInterrupts] binds
/// as configuration space says. Nothing here knows of devices, machines or slots, and no driver is
/// called but by `PciProfile.of` and for MSI-X accesses that are the driver's.
///
/// ## Locks
///
/// ```
/// PciConfigSpace.lock         registers, and the interrupts that follow them
///   InterruptSet.lock         bindings and the line
///     MessageVectors.lock     masks and pending bits
/// ```
@NullMarked
package dev.mdev.core.pci;

import org.jspecify.annotations.NullMarked;
