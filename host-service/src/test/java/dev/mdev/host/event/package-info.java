/// Tests of the records about the device bus.
@NullMarked
package dev.mdev.host.event;

import org.jspecify.annotations.NullMarked;
