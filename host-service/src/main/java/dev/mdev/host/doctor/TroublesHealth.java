package dev.mdev.host.doctor;

import dev.mdev.host.event.Event;
import dev.mdev.host.event.Troubles;

import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.stereotype.Component;

import java.util.Locale;

/// Whether devices have troubles that last. The service itself is well then, so that nothing takes
/// its other devices out of use. Everyone reads health, so it names no device: the doctor does.
@Component("troublesHealthIndicator")
record TroublesHealth(Troubles troubles) implements HealthIndicator {
    /// The status of a service that works, but not for every device.
    private static final String DEGRADED = "DEGRADED";

    @Override
    public Health health() {
        Health.Builder health = troubles.all().isEmpty() ? Health.up() : Health.status(DEGRADED);
        for (Event.Kind kind : Troubles.KINDS) {
            health.withDetail(kind.name().toLowerCase(Locale.ROOT), troubles.count(kind));
        }
        return health.build();
    }
}
