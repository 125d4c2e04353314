@NullMarked
package dev.mdev.cli.text;

import org.jspecify.annotations.NullMarked;
