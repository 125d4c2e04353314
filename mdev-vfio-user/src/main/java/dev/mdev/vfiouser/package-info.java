/// The server of vfio-user: one device, one socket, one client at a time.
///
/// The protocol is QEMU's `docs/interop/vfio-user.rst`. All numbers are little-endian.
@NullMarked
package dev.mdev.vfiouser;

import org.jspecify.annotations.NullMarked;
