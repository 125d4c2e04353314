/// BAR regions as files of a file system of our own, for a guest that another process runs.
@NullMarked
package dev.mdev.core.engine.barfile;

import org.jspecify.annotations.NullMarked;
