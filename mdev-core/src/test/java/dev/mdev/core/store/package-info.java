/// Tests of files and journals, and files that crash.
@NullMarked
package dev.mdev.core.store;

import org.jspecify.annotations.NullMarked;
