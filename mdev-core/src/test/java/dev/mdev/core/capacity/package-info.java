/// Tests of the tenants of pages, and of what fits.
@NullMarked
package dev.mdev.core.capacity;

import org.jspecify.annotations.NullMarked;
