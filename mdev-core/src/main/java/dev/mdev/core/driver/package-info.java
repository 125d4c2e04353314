/// How the core calls driver code: one turn at a time, measured, with a deadline, and with every
/// exception of the driver turned into a value.
@NullMarked
package dev.mdev.core.driver;

import org.jspecify.annotations.NullMarked;
