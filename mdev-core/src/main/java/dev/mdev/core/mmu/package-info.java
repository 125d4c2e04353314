/// The second-stage MMU of the software engine: guest frames to physical pages.
///
/// One [Stage2Table][dev.mdev.core.mmu.Stage2Table] per address space, filled by
/// [Stage2Mmu#fault][dev.mdev.core.mmu.Stage2Mmu#fault] and emptied by revocations and slot
/// changes; per vCPU a [Tlb][dev.mdev.core.mmu.Tlb] in front of it; and the
/// [AccessGate][dev.mdev.core.mmu.AccessGate], where a thread that removes an entry waits for the
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
/// Without the second check, vCPU 0 would publish P after its removal.
///
/// ## Locks
///
/// `Stage2Mmu.lock` guards the tables' entries and the sequence; it is a leaf. A thread waits at
/// the gate without a leaf lock.
@NullMarked
package dev.mdev.core.mmu;

import org.jspecify.annotations.NullMarked;
