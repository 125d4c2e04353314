/// How the core calls driver code: one turn at a time, measured, with a deadline, and with whatever
/// the driver throws turned into a value.
@NullMarked
package dev.mdev.core.driver;

import org.jspecify.annotations.NullMarked;
