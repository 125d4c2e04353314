/// The profile file of an operator.
@NullMarked
package dev.mdev.cli.profile;

import org.jspecify.annotations.NullMarked;
