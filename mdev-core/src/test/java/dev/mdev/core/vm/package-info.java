@NullMarked
package dev.mdev.core.vm;

import org.jspecify.annotations.NullMarked;
