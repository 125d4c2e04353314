/// The rules that what a driver says of its devices has to keep to, in the one form that the host
/// and the conformance suite check them by.
@NullMarked
package dev.mdev.api.layout;

import org.jspecify.annotations.NullMarked;
