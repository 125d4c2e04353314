/// Memory slots: which host memory is behind which guest frame, as a VMM tells KVM.
///
/// An [AddressSpaces] holds the slots of one virtual machine, in one or more address spaces; each
/// has a published [MemslotSet], which never changes. [VcpuMemslots] is a vCPU's view. Behaviour,
/// error numbers and the order of checks are those of Linux `virt/kvm/kvm_main.c`.
///
/// Lock order, outermost first:
///
///     slots lock (AddressSpaces.slotsLock)
///       the lock of ActiveInvalidations (leaf)
///     read section of AddressSpaces.srcu: inside it nobody takes the slots lock
@NullMarked
package dev.mdev.core.memslot;

import org.jspecify.annotations.NullMarked;
