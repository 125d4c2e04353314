/// Ranges of guest pages and of host virtual addresses.
///
/// A single gfn, gpa, hva or pfn is a `long` whose name says which it is. A range is a record of
/// its own type, so that the compiler keeps address spaces apart.
@NullMarked
package dev.mdev.core.addr;

import org.jspecify.annotations.NullMarked;
