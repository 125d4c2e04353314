package dev.mdev.api;

import java.util.List;
import java.util.Objects;
import java.util.UUID;

/// A mediated device that a driver found on its parent: see [ParentDevice#existing].
///
/// @param uuid its identity
/// @param typeId the id of its type, one of the parent's
/// @param share the pages that belong to it, inside the parent's pools and disjoint from other
///   devices' shares
public record ExistingDevice(UUID uuid, String typeId, List<PoolShare> share) {
    public ExistingDevice {
        Objects.requireNonNull(uuid);
        Objects.requireNonNull(typeId);
        share = List.copyOf(share);
    }
}
