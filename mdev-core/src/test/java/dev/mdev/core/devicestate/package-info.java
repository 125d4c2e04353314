/// Tests of the stream that a device travels in.
@NullMarked
package dev.mdev.core.devicestate;

import org.jspecify.annotations.NullMarked;
