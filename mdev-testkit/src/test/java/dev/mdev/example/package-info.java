/// The drivers of the driver author's guide, from the smallest to one with a thread of its own.
@NullMarked
package dev.mdev.example;

import org.jspecify.annotations.NullMarked;
