/// A PCI function as Linux shows it in sysfs, and what must hold before it is shared.
@NullMarked
package dev.mdev.pcisplit.function;

import org.jspecify.annotations.NullMarked;
