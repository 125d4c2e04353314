/// The engine that runs guests in pure Java, without privileges, on any operating system.
///
/// A guest access is a look at the gate, a TLB lookup, and a load or store in the memory behind it;
/// what misses walks the stage-2 tables, and what the tables do not have faults.
@NullMarked
package dev.mdev.core.engine.software;

import org.jspecify.annotations.NullMarked;
