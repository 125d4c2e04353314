/// The second-stage MMU of the software engine: guest frames to physical pages.
///
/// One [Stage2Table][dev.mdev.core.mmu.Stage2Table] an address space, filled by
/// [Stage2Mmu#fault][dev.mdev.core.mmu.Stage2Mmu#fault] and emptied by revocations and slot
/// changes; per vCPU a [Tlb][dev.mdev.core.mmu.Tlb] in front of it; and the
/// [AccessGate][dev.mdev.core.mmu.AccessGate], by which whoever takes an entry away waits for the
/// accesses that still use it.
///
/// ## The race that the sequence closes
///
/// ```
/// vCPU 0 (fault)                        CPU 1 (revoke)
/// -----------------------------------   ------------------------------------
/// reads the sequence
/// resolves hva -> pfn P
///                                       invalidateStart: marks the range, drops
///                                       stage-2 entries, waits for the gate
///                                       drops the host entry of P
///                                       invalidateEnd: bumps the sequence
/// takes the mmu lock, sees the sequence
/// moved: publishes nothing, tries again
/// ```
///
/// Without the re-check, vCPU 0 would publish P after it was taken away.
///
/// ## Locks
///
/// `Stage2Mmu.lock` guards the tables' entries and the sequence; it is a leaf. The gate is waited
/// for with no leaf lock held.
@NullMarked
package dev.mdev.core.mmu;

import org.jspecify.annotations.NullMarked;
