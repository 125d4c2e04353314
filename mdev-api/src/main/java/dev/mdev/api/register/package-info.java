/// Registers as guests access them: any width at any offset. Optional for drivers.
@NullMarked
package dev.mdev.api.register;

import org.jspecify.annotations.NullMarked;
