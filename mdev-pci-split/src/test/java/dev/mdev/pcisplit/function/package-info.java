@NullMarked
package dev.mdev.pcisplit.function;

import org.jspecify.annotations.NullMarked;
