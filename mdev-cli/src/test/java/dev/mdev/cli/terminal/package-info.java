@NullMarked
package dev.mdev.cli.terminal;

import org.jspecify.annotations.NullMarked;
