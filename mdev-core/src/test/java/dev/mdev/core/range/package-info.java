@NullMarked
package dev.mdev.core.range;

import org.jspecify.annotations.NullMarked;
