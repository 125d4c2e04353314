/// The rules for a driver's descriptions of its devices. The host and the conformance suite check
/// them by this code.
@NullMarked
package dev.mdev.api.layout;

import org.jspecify.annotations.NullMarked;
