@NullMarked
package dev.mdev.core.hostmm;

import org.jspecify.annotations.NullMarked;
