/// The operating system, and the only package that calls native code.
///
/// [Libc][dev.mdev.core.sys.Libc] has one method per C function and returns the function's result;
/// [Syscalls][dev.mdev.core.sys.Syscalls] turns failures into exceptions that name the values.
/// Numbers and struct layouts of the kernel are constants in the `...Abi` classes, under their C
/// names; a test compares each of them with a C compiler.
///
/// An address that crosses this package is a plain `long`. Nothing here makes a
/// [MemorySegment][java.lang.foreign.MemorySegment] over memory that can fault into this process:
/// Java code that touches such memory blocks in a page fault, where the virtual machine cannot stop
/// it for a garbage collection that the fault's handler may need.
@NullMarked
package dev.mdev.core.sys;

import org.jspecify.annotations.NullMarked;
