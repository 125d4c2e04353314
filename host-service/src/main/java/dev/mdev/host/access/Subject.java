package dev.mdev.host.access;

import java.util.UUID;

/// Something that a tenant can own, as events name it: `mdevs/UUID` or `machines/NAME`. A device
/// and its definition are one.
public record Subject(Kind kind, String name) {
    /// The kinds of things.
    public enum Kind {
        /// A device, or its definition.
        MDEV("mdevs/"),
        /// A machine.
        MACHINE("machines/");

        private final String prefix;

        Kind(String prefix) {
            this.prefix = prefix;
        }
    }

    public static Subject mdev(UUID uuid) {
        return new Subject(Kind.MDEV, uuid.toString());
    }

    public static Subject machine(String name) {
        return new Subject(Kind.MACHINE, name);
    }

    @Override
    public String toString() {
        return kind.prefix + name;
    }
}
