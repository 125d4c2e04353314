/// The filters before the controllers, and the answers to requests that reach no controller.
@NullMarked
package dev.mdev.host.web;

import org.jspecify.annotations.NullMarked;
