/// Tests of dirty tracking.
@NullMarked
package dev.mdev.core.dirty;

import org.jspecify.annotations.NullMarked;
