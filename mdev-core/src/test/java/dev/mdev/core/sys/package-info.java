@NullMarked
package dev.mdev.core.sys;

import org.jspecify.annotations.NullMarked;
