/// The memory of physical devices, as files show it.
@NullMarked
package dev.mdev.core.hostfile;

import org.jspecify.annotations.NullMarked;
