/// What should be: documents of devices and machines, and the steps that make them so.
@NullMarked
package dev.mdev.host.desired;

import org.jspecify.annotations.NullMarked;
