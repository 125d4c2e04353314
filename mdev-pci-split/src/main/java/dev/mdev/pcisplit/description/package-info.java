/// Descriptions of how to share a function: what they say, how they are read, and the rules that
/// they have to keep whatever the function is.
@NullMarked
package dev.mdev.pcisplit.description;

import org.jspecify.annotations.NullMarked;
