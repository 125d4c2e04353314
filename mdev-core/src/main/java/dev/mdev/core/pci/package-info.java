/// A PCI function as its guest sees it: configuration space with its capabilities, where the BARs
/// are, and interrupts with their masks.
///
/// [PciProfile][dev.mdev.core.pci.PciProfile] is a driver's checked description of its device, and
/// [BarLayout][dev.mdev.api.layout.BarLayout] derives the BARs from it.
/// [PciConfigSpace][dev.mdev.core.pci.PciConfigSpace] has the registers and the effects of writes
/// to them; [InterruptSet][dev.mdev.core.pci.InterruptSet] has the interrupts by VFIO's indices
/// (`VFIO_DEVICE_SET_IRQS`), which [FunctionInterrupts][dev.mdev.core.pci.FunctionInterrupts] binds
/// according to configuration space. This package knows no devices, machines or slots, and calls
/// drivers only in `PciProfile.of` and for MSI-X accesses that belong to the driver.
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
