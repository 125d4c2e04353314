/// Tests of the memory topology.
@NullMarked
package dev.mdev.core.topology;

import org.jspecify.annotations.NullMarked;
