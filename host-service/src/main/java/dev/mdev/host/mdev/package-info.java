/// Mediated devices: create, list, revoke and end them.
@NullMarked
package dev.mdev.host.mdev;

import org.jspecify.annotations.NullMarked;
