/// Puts the core together: memory, the device bus, drivers and engine, according to the operator's
/// settings.
@NullMarked
package dev.mdev.host.bus;

import org.jspecify.annotations.NullMarked;
