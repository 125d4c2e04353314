/// Parents: the physical devices, what types of mediated device they make, and how many more fit.
@NullMarked
package dev.mdev.host.parent;

import org.jspecify.annotations.NullMarked;
