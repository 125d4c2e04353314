/// Sets and maps of ranges of whole numbers: pages, frames, addresses. A range is `[start, end)`.
@NullMarked
package dev.mdev.core.range;

import org.jspecify.annotations.NullMarked;
