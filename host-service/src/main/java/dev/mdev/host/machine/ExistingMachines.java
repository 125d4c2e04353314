package dev.mdev.host.machine;

import dev.mdev.host.access.Existing;
import dev.mdev.host.access.Subject;

import org.springframework.stereotype.Component;

/// Tells which machines exist.
@Component
record ExistingMachines(MachineService machines) implements Existing {
    @Override
    public Subject.Kind kind() {
        return Subject.Kind.MACHINE;
    }

    @Override
    public boolean exists(String name) {
        return machines.exists(name);
    }
}
