/// The events of this host, numbered, the last ones kept in memory.
@NullMarked
package dev.mdev.host.event;

import org.jspecify.annotations.NullMarked;
