/// A device's way to guest memory: copies and pins through the memory slots, with their dirty
/// marks.
@NullMarked
package dev.mdev.core.dma;

import org.jspecify.annotations.NullMarked;
