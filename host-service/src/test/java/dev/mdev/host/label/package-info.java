/// Tests of labels.
@NullMarked
package dev.mdev.host.label;

import org.jspecify.annotations.NullMarked;
