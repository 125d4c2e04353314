package dev.mdev.core.capacity;

import java.util.UUID;

/// The tenant of pages that are not free.
public sealed interface Tenant {
    /// They belong to a device of any owner, until they are scrubbed.
    record Device(UUID uuid) implements Tenant {}

    /// They may have a former tenant's data, and wait for scrubbing.
    record Scrubbing() implements Tenant {}

    /// They are the parent's own, and all devices may map them, read-only.
    record Shared() implements Tenant {}

    /// They could not be scrubbed, and stay unused.
    record Bad() implements Tenant {}
}
