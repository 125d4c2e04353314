/// A virtual machine put together: RAM, virtual processors, assigned devices, and the guest
/// programs that its processors execute.
///
/// ## Locks
///
/// ```
/// VirtualMachine.structure      what is attached; held while slots change
///   AddressSpaces (slots lock), HostMm, Mdev
/// ```
///
/// No processor thread takes `structure`, so that a change may wait for processors.
@NullMarked
package dev.mdev.core.vm;

import org.jspecify.annotations.NullMarked;
