/// Small drivers that the test kit is tested with: one that is right, and many with one bug each.
@NullMarked
package dev.mdev.testkit.drivers;

import org.jspecify.annotations.NullMarked;
