/// Tests of the Debian package.
@NullMarked
package dev.mdev.deb;

import org.jspecify.annotations.NullMarked;
