/// Tests of calls of driver code.
@NullMarked
package dev.mdev.core.driver;

import org.jspecify.annotations.NullMarked;
