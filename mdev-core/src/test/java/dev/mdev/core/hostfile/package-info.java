@NullMarked
package dev.mdev.core.hostfile;

import org.jspecify.annotations.NullMarked;
