/// Pages, ranges of physical pages, and rights: the terms that every layer shares.
@NullMarked
package dev.mdev.api.page;

import org.jspecify.annotations.NullMarked;
