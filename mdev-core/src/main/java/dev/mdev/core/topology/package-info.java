/// What lies at which guest physical address: a tree of memory regions, flattened to one list of
/// ranges per address space, and turned into memory slots.
///
/// A virtual machine monitor describes guest memory as a tree of [MemoryRegion]s: containers, RAM,
/// ROM, devices, and aliases that show a part of another region. Regions may overlap; priorities
/// say which one is seen. A change is made in a transaction ([Topology#edit]). When it ends, the
/// tree is flattened anew for every attached address space, the new [FlatView] is compared with the
/// old one, and the address space's [TopologyListener] hears the differences. [MemslotListener]
/// makes the memory slots follow.
///
/// ## What a guest sees during a change
///
/// An address that is backed before and after a change never looks absent in between: a change in
/// place is used where the kernel offers one, and where a slot must go before another can come to
/// the same address, the vCPUs are held out ([VcpuPause]).
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
