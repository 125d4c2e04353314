/// Parents: the physical devices, their types of mediated devices, and how many more fit.
@NullMarked
package dev.mdev.host.parent;

import org.jspecify.annotations.NullMarked;
