/// Tests of system management mode and internal slots.
@NullMarked
package dev.mdev.core.x86;

import org.jspecify.annotations.NullMarked;
