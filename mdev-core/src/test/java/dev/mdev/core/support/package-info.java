/// What tests of several packages share.
@NullMarked
package dev.mdev.core.support;

import org.jspecify.annotations.NullMarked;
