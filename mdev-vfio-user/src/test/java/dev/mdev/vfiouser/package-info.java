/// Tests of the server, by a client that speaks raw bytes.
@NullMarked
package dev.mdev.vfiouser;

import org.jspecify.annotations.NullMarked;
