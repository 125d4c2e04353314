/// Calls of the service. An answer that is late, endless or malformed is a failure of one line.
@NullMarked
package dev.mdev.cli.client;

import org.jspecify.annotations.NullMarked;
