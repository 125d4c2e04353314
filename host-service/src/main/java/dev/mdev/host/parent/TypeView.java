package dev.mdev.host.parent;

import dev.mdev.api.MdevType;

import org.jspecify.annotations.Nullable;

import java.util.List;

/// A type of mediated device, as clients see it.
///
/// @param deviceApi how a virtual machine sees the device
/// @param maxInstances the limit of instances, even if more would fit; absent if there is none
/// @param availableInstances how many more could be created now
/// @param refusal why none could be created, if none could
/// @param demands the demands of one device
/// @param shared the pools whose pages all its devices map, read-only
record TypeView(
        String id,
        String name,
        String description,
        String deviceApi,
        @Nullable Integer maxInstances,
        int availableInstances,
        @Nullable String refusal,
        List<MdevType.Demand> demands,
        List<String> shared) {
    /// A limit of instances as clients see it.
    static @Nullable Integer limit(int maxInstances) {
        return maxInstances == Integer.MAX_VALUE ? null : maxInstances;
    }
}
