/// Sets and maps of ranges of whole numbers, whatever they count: pages, frames, addresses. A range
/// is `[start, end)`.
@NullMarked
package dev.mdev.core.range;

import org.jspecify.annotations.NullMarked;
