@NullMarked
package dev.mdev.cli.profile;

import org.jspecify.annotations.NullMarked;
