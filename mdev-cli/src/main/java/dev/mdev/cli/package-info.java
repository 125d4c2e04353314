/// The command line `mdev`: it operates a host service over REST, and prints what people and
/// scripts read.
@NullMarked
package dev.mdev.cli;

import org.jspecify.annotations.NullMarked;
