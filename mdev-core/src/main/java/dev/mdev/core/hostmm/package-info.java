/// The host side of a guest's memory: reserved ranges, the fault that fills them, and the zap that
/// empties them.
///
/// A [HostMm][dev.mdev.core.hostmm.HostMm] is what a virtual machine monitor's address space is to
/// Linux: a sorted set of [Vma][dev.mdev.core.hostmm.Vma]s (`vm_area_struct`), each with entries
/// that say which physical page is mapped at which host virtual address. Mapping a lazy range only
/// reserves it. [HostMm#handleFault][dev.mdev.core.hostmm.HostMm#handleFault] is the one entrance
/// for every first access, by guest or host; an engine's
/// [HostPageTable][dev.mdev.core.hostmm.HostPageTable] is the one exit.
///
/// ```
/// after reserve          hva 0x10000000 -> vma (region 0)      entry: none
/// first access           handleFault -> VmaOps.fault -> grant pfn 0x100003
/// after the fault        hva 0x10000000 -> vma (region 0)      entry: pfn 0x100003 rw
/// after zap              hva 0x10000000 -> vma (region 0)      entry: none; the next access faults
/// ```
///
/// Clients of other processes have copies of granted pages. Then the newest content of a page is in
/// its [PageHome][dev.mdev.core.hostmm.PageHome]. All accesses of the host look there: those by an
/// [Aperture][dev.mdev.api.Aperture], and those by [HostMm][dev.mdev.core.hostmm.HostMm].
///
/// ## Locks
///
/// ```
/// HostMm.structure        which vmas there are
///   Vma.entries           the entries and pending fills of one vma; a leaf
/// ```
///
/// Neither is held while [VmaOps#fault][dev.mdev.core.hostmm.VmaOps#fault] or a
/// [MmuNotifier][dev.mdev.core.hostmm.MmuNotifier] runs.
@NullMarked
package dev.mdev.core.hostmm;

import org.jspecify.annotations.NullMarked;
