/// Small concurrent building blocks that several layers share.
@NullMarked
package dev.mdev.core.sync;

import org.jspecify.annotations.NullMarked;
