/// Tests of the web layer's parts.
@NullMarked
package dev.mdev.host.mdev;

import org.jspecify.annotations.NullMarked;
