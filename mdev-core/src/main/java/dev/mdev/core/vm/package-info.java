/// A virtual machine: RAM, virtual processors, assigned devices, and the guest programs that its
/// processors execute.
///
/// No processor thread takes the lock of the device list, so a change of devices may wait for
/// processors. The order of all locks is in the architecture document, section 5.
@NullMarked
package dev.mdev.core.vm;

import org.jspecify.annotations.NullMarked;
