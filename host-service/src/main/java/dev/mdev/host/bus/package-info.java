/// Puts the core together: memory, the device bus, drivers and engine, as the operator set them.
@NullMarked
package dev.mdev.host.bus;

import org.jspecify.annotations.NullMarked;
