/// The seam between the core and the engines that run guests: interfaces only.
///
/// An engine decides where an access starts and how a mapping is made; everything between is
/// shared. `software` runs guests in pure Java, `kvm` on real virtual processors of this machine.
@NullMarked
package dev.mdev.core.engine;

import org.jspecify.annotations.NullMarked;
