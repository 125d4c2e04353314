/// Small drivers that test the test kit: one that is correct, and many with one bug each.
@NullMarked
package dev.mdev.testkit.drivers;

import org.jspecify.annotations.NullMarked;
