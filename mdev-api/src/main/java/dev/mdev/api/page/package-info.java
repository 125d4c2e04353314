/// Pages, ranges of physical pages, and rights: the words that every layer shares.
@NullMarked
package dev.mdev.api.page;

import org.jspecify.annotations.NullMarked;
