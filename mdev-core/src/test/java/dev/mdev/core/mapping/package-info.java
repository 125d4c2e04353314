/// Tests of what grants become.
@NullMarked
package dev.mdev.core.mapping;

import org.jspecify.annotations.NullMarked;
