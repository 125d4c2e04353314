/// Tests of drivers that come as jars.
@NullMarked
package dev.mdev.core.loader;

import org.jspecify.annotations.NullMarked;
