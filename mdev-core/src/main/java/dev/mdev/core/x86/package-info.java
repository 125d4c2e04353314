/// What x86 adds to memory slots: system management mode and the internal slots (TSS, identity map,
/// APIC access page). Linux `arch/x86/kvm/x86.c`, `arch/x86/kvm/smm.c`.
@NullMarked
package dev.mdev.core.x86;

import org.jspecify.annotations.NullMarked;
