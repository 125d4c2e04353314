/// The engine that runs guests in pure Java, without privileges, on any operating system.
///
/// A guest access is a check of the gate, a TLB lookup, and a load or store in the memory behind
/// it; a TLB miss walks the stage-2 tables, and a missing entry in the tables faults.
@NullMarked
package dev.mdev.core.engine.software;

import org.jspecify.annotations.NullMarked;
