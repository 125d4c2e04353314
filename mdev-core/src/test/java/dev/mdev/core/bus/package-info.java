/// Tests of the bus: life cycle, crashes, moves, scrubbing, and device state.
@NullMarked
package dev.mdev.core.bus;

import org.jspecify.annotations.NullMarked;
