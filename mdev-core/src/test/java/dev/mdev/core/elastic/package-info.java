@NullMarked
package dev.mdev.core.elastic;

import org.jspecify.annotations.NullMarked;
