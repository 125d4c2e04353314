/// Registers as guests access them: any width at any offset. Drivers may use what is here; none has
/// to.
@NullMarked
package dev.mdev.api.register;

import org.jspecify.annotations.NullMarked;
