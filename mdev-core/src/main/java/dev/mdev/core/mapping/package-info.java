/// What a driver's answer becomes: the question to the driver, the check of its grant, the mapping,
/// and the way back from a device's region to the guests' mappings.
@NullMarked
package dev.mdev.core.mapping;

import org.jspecify.annotations.NullMarked;
