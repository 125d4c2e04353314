/// The Prometheus metrics: `mdevhost_...` at `/actuator/prometheus`.
@NullMarked
package dev.mdev.host.metric;

import org.jspecify.annotations.NullMarked;
