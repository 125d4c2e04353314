/// Tests of the stream that carries a machine.
@NullMarked
package dev.mdev.core.machinestate;

import org.jspecify.annotations.NullMarked;
