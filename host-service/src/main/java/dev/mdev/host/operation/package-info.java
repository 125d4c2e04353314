/// Work that goes on after the answer to its call, and what became of it.
@NullMarked
package dev.mdev.host.operation;

import org.jspecify.annotations.NullMarked;
