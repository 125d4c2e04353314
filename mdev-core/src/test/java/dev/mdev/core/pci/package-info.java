/// Tests of what a PCI function shows its guest.
@NullMarked
package dev.mdev.core.pci;

import org.jspecify.annotations.NullMarked;
