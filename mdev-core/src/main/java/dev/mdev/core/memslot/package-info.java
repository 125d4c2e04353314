/// Memory slots: which host memory backs which guest frame, as a VMM tells KVM.
///
/// An [AddressSpaces] holds the slots of one virtual machine, in one or more address spaces; each
/// has a published [MemslotSet], which never changes. [VcpuMemslots] is a vCPU's view. Behaviour,
/// error numbers and the order of checks are those of Linux `virt/kvm/kvm_main.c`.
///
/// A thread never takes the slots lock (`AddressSpaces.slotsLock`) in a read section of
/// `AddressSpaces.srcu`, because a change of slots waits for readers. The order of all locks is in
/// the architecture document, section 5.
@NullMarked
package dev.mdev.core.memslot;

import org.jspecify.annotations.NullMarked;
