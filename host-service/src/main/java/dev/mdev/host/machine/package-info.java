/// Virtual machines: create them, attach devices, execute guest programs on their processors.
///
/// A *guest program* is a short list of steps, each a row of loads or stores. The machine's engine
/// executes them as its guest's accesses, so that they fault, trap and fail as a guest's would.
@NullMarked
package dev.mdev.host.machine;

import org.jspecify.annotations.NullMarked;
