@NullMarked
package dev.mdev.core.mmu;

import org.jspecify.annotations.NullMarked;
