package dev.mdev.core.capacity;

import java.util.UUID;

/// Why pages are not free.
public sealed interface Tenant {
    /// They belong to a device, whoever's it is, until they were scrubbed.
    record Device(UUID uuid) implements Tenant {}

    /// They may hold bytes of a former life, and wait to be scrubbed.
    record Scrubbing() implements Tenant {}

    /// They could not be scrubbed, and are never given out.
    record Bad() implements Tenant {}
}
