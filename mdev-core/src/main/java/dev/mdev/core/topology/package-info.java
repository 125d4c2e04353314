/// What lies at which guest physical address: a tree of memory regions, flattened to one list of
/// ranges per address space, and turned into memory slots.
///
/// A virtual machine monitor describes guest memory as a tree of [MemoryRegion]s: containers, RAM,
/// ROM, devices, and aliases that show a part of another region. Regions may overlap; priorities
/// decide which one is visible. A change happens in a transaction ([Topology#edit]). At its end,
/// the tree is flattened again for every attached address space, the new [FlatView] is compared
/// with the old one, and the address space's [TopologyListener] receives the differences.
/// [MemslotListener] updates the memory slots.
///
/// ## What a guest sees during a change
///
/// An address that is backed before and after a change never looks absent in between: where the
/// kernel offers a change in place, the listener uses it; where a slot must be removed before
/// another can take its address, the listener holds the vCPUs out ([VcpuPause]).
///
/// ## Locks
///
/// The topology's lock is the outermost of all: listeners are called with it held and may take any
/// other lock. Readers of a [FlatView] take none.
///
/// The rules of flattening and the order of events are those of QEMU's memory API
/// (`system/memory.c` and `docs/devel/memory.rst` there).
@NullMarked
package dev.mdev.core.topology;

import org.jspecify.annotations.NullMarked;
