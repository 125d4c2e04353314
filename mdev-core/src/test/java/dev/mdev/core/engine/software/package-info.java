@NullMarked
package dev.mdev.core.engine.software;

import org.jspecify.annotations.NullMarked;
