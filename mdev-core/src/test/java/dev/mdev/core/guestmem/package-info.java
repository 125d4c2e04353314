/// Tests of the host's way to guest memory.
@NullMarked
package dev.mdev.core.guestmem;

import org.jspecify.annotations.NullMarked;
