/// The rules of the repository, checked on all its modules.
@NullMarked
package dev.mdev.gate;

import org.jspecify.annotations.NullMarked;
