/// The host service: a Spring Boot application around the core.
///
/// Each sub-package is one noun of the REST interface, with its controller, its service and its
/// records. This is the only module that uses Spring.
@NullMarked
package dev.mdev.host;

import org.jspecify.annotations.NullMarked;
