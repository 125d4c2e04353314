/// Tests of the bus and its devices: life cycle, crashes, moves, scrubbing, and device state.
@NullMarked
package dev.mdev.core.device;

import org.jspecify.annotations.NullMarked;
