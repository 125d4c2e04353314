/// Tests of [dev.mdev.core.dma].
@NullMarked
package dev.mdev.core.dma;

import org.jspecify.annotations.NullMarked;
