/// How a verb fails: an exit code, one line, and a remedy.
@NullMarked
package dev.mdev.cli.failure;

import org.jspecify.annotations.NullMarked;
