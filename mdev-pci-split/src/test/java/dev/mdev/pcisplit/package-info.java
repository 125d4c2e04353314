@NullMarked
package dev.mdev.pcisplit;

import org.jspecify.annotations.NullMarked;
