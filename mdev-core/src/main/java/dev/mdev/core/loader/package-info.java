/// Drivers that come as jars in a folder.
@NullMarked
package dev.mdev.core.loader;

import org.jspecify.annotations.NullMarked;
