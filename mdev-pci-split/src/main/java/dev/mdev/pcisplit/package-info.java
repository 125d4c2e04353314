/// The parent driver `pci-split`: it shares a real PCI function among virtual machines, through the
/// files by which Linux shows its BARs.
@NullMarked
package dev.mdev.pcisplit;

import org.jspecify.annotations.NullMarked;
