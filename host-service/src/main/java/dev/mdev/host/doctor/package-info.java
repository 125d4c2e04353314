/// What this host can do, and what is missing for the rest.
@NullMarked
package dev.mdev.host.doctor;

import org.jspecify.annotations.NullMarked;
