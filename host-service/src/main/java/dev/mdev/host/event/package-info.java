/// What happened on this host, numbered, the last of it kept in memory.
@NullMarked
package dev.mdev.host.event;

import org.jspecify.annotations.NullMarked;
