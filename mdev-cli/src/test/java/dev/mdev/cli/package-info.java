@NullMarked
package dev.mdev.cli;

import org.jspecify.annotations.NullMarked;
