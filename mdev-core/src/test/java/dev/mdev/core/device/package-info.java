/// Tests of the bus and its devices: life cycle, crashes, capacity, scrubbing, device state, and
/// what a PCI function shows its guest.
@NullMarked
package dev.mdev.core.device;

import org.jspecify.annotations.NullMarked;
