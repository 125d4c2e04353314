/// Tests of what is noted of the device bus.
@NullMarked
package dev.mdev.host.event;

import org.jspecify.annotations.NullMarked;
