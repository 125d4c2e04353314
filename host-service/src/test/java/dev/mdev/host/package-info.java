/// The service as its clients see it: each test speaks HTTP to a running server.
@NullMarked
package dev.mdev.host;

import org.jspecify.annotations.NullMarked;
