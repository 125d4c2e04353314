@NullMarked
package dev.mdev.host.machine;

import org.jspecify.annotations.NullMarked;
