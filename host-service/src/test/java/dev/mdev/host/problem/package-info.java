@NullMarked
package dev.mdev.host.problem;

import org.jspecify.annotations.NullMarked;
