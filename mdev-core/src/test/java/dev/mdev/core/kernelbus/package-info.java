/// Tests of the driver of the kernel's mdev bus: against a fake with the kernel's rules, and
/// against a real kernel.
@NullMarked
package dev.mdev.core.kernelbus;

import org.jspecify.annotations.NullMarked;
