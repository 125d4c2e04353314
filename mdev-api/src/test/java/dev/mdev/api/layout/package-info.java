/// Tests of layouts.
@NullMarked
package dev.mdev.api.layout;

import org.jspecify.annotations.NullMarked;
