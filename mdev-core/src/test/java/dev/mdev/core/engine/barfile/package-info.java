@NullMarked
package dev.mdev.core.engine.barfile;

import org.jspecify.annotations.NullMarked;
