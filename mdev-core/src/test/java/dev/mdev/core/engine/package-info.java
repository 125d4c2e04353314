/// The contract every engine keeps, as tests.
@NullMarked
package dev.mdev.core.engine;

import org.jspecify.annotations.NullMarked;
