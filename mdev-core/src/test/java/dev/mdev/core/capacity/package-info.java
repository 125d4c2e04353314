/// Tests of who has which pages, and what fits.
@NullMarked
package dev.mdev.core.capacity;

import org.jspecify.annotations.NullMarked;
