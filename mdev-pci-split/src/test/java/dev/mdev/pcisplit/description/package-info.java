@NullMarked
package dev.mdev.pcisplit.description;

import org.jspecify.annotations.NullMarked;
