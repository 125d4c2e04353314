/// Labels, display names and descriptions of devices and machines, and the files that keep them.
@NullMarked
package dev.mdev.host.label;

import org.jspecify.annotations.NullMarked;
