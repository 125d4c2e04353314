/// Tests of how the core is put together.
@NullMarked
package dev.mdev.host.bus;

import org.jspecify.annotations.NullMarked;
