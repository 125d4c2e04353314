/// The verbs. Each is a class with its arguments, one call of the service or a few, and its text.
@NullMarked
package dev.mdev.cli.verb;

import org.jspecify.annotations.NullMarked;
