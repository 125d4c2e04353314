/// Tests of the core's configuration.
@NullMarked
package dev.mdev.host.bus;

import org.jspecify.annotations.NullMarked;
