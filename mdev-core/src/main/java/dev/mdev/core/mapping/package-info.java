/// From a driver's answer to a mapping: the request to the driver, the check of the grant, the
/// mapping, and the way back from a device's region to the guests' mappings.
@NullMarked
package dev.mdev.core.mapping;

import org.jspecify.annotations.NullMarked;
