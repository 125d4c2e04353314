/// Tests of registers.
@NullMarked
package dev.mdev.api.register;

import org.jspecify.annotations.NullMarked;
