/// Tests of a PCI function as its guest sees it.
@NullMarked
package dev.mdev.core.pci;

import org.jspecify.annotations.NullMarked;
