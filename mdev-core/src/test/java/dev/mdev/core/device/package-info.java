/// Tests of [dev.mdev.core.device].
@NullMarked
package dev.mdev.core.device;

import org.jspecify.annotations.NullMarked;
