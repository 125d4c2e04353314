/// The engine that runs guests on virtual processors of this machine (Linux KVM on x86-64).
///
/// ```
/// guest touches gpa                the guest's program (GuestStub), by a real instruction
///   kernel: no entry               KVM asks for the page behind the slot's host address
///   kernel: backdrop, no page      userfaultfd: the processor sleeps inside KVM_RUN
///     fault loop reads the event   UffdFaultLoop, one thread for each reserved range
///       HostMm.handleFault         asks the owner of the range
///         MmapPageTable.map        mmap or UFFDIO_CONTINUE
///     wake                         the processor touches the page again and goes on
/// ```
///
/// After a refusal, a virtual processor is not simply woken: it is interrupted and gets the reason
/// ([KvmRunLoop][dev.mdev.core.engine.kvm.KvmRunLoop]). A zap is a change of this process's
/// mappings; the kernel's MMU notifiers remove the pages from the guests' tables before it returns.
///
/// The guest's program is this package's own: it does the requested loads and stores, from memory
/// of its own in a hidden slot ([StubMemory][dev.mdev.core.engine.kvm.stub.StubMemory]).
///
/// **No Java code touches addresses of a reserved range.** A Java thread that sleeps in a page
/// fault does not reach a safepoint, and the fault's answer may need one. Ranges are addresses
/// here, never memory segments; the host's own accesses go through each block's own mapping.
///
/// ## Locks
///
/// ```
/// Vma.entries
///   MappedRange.lock       what the kernel has mapped in one range; a leaf
/// VcpuThread.lock          whether the thread is in KVM_RUN; a leaf
/// GuestHold.lock           whether processors must stay out of the guest; a leaf
/// ```
@NullMarked
package dev.mdev.core.engine.kvm;

import org.jspecify.annotations.NullMarked;
