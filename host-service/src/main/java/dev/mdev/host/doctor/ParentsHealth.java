package dev.mdev.host.doctor;

import dev.mdev.host.bus.RequiredParents;

import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.stereotype.Component;

/// The service is not ready without the parents that its operator requires. Everyone reads health,
/// so it names none: the doctor does.
@Component("parentsHealthIndicator")
record ParentsHealth(RequiredParents parents) implements HealthIndicator {
    @Override
    public Health health() {
        int missing = parents.missing().size();
        return (missing == 0 ? Health.up() : Health.outOfService())
                .withDetail("required", parents.count())
                .withDetail("missing", missing)
                .build();
    }
}
