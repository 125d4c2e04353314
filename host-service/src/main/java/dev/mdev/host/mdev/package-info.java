/// Mediated devices: make them, look at them, take back what their guests have mapped, end them.
@NullMarked
package dev.mdev.host.mdev;

import org.jspecify.annotations.NullMarked;
