package dev.mdev.host.access;

import dev.mdev.core.bus.MdevBus;

import org.springframework.stereotype.Component;

import java.util.UUID;

/// Tells which devices exist or are defined.
@Component
record ExistingMdevs(MdevBus bus) implements Existing {
    @Override
    public Subject.Kind kind() {
        return Subject.Kind.MDEV;
    }

    @Override
    public boolean exists(String name) {
        return bus.status(UUID.fromString(name)).isPresent();
    }
}
