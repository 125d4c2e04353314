package dev.mdev.core.topology;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/// Everything about a region that can change.
///
/// @param placement where it is, or null while it is in no container
/// @param enabled whether it and all below it is seen
/// @param readonly whether writes trap, here and in all below it
/// @param romd whether a ROM device is in ROM mode
/// @param logClients who wants its writes logged
/// @param aliasOffsetBytes an alias's first byte within its target, unsigned
/// @param children the subregions, those that are seen first come first
record RegionState(
        @Nullable Placement placement,
        boolean enabled,
        boolean readonly,
        boolean romd,
        Set<DirtyClient> logClients,
        long aliasOffsetBytes,
        List<MemoryRegion> children) {

    /// Where a region is.
    ///
    /// @param container the region around it
    /// @param offsetBytes its first byte within the container, unsigned
    /// @param priority of overlapping siblings, the one with the higher priority is seen
    record Placement(MemoryRegion container, long offsetBytes, int priority) {}

    static RegionState initial() {
        return new RegionState(null, true, false, true, Set.of(), 0, List.of());
    }

    RegionState withPlacement(@Nullable Placement next) {
        return new RegionState(
                next, enabled, readonly, romd, logClients, aliasOffsetBytes, children);
    }

    RegionState withEnabled(boolean next) {
        return new RegionState(
                placement, next, readonly, romd, logClients, aliasOffsetBytes, children);
    }

    RegionState withReadonly(boolean next) {
        return new RegionState(
                placement, enabled, next, romd, logClients, aliasOffsetBytes, children);
    }

    RegionState withRomd(boolean next) {
        return new RegionState(
                placement, enabled, readonly, next, logClients, aliasOffsetBytes, children);
    }

    RegionState withLog(DirtyClient client, boolean on) {
        Set<DirtyClient> next = withClient(logClients, client, on);
        return new RegionState(
                placement, enabled, readonly, romd, next, aliasOffsetBytes, children);
    }

    RegionState withAliasOffset(long nextOffsetBytes) {
        return new RegionState(
                placement, enabled, readonly, romd, logClients, nextOffsetBytes, children);
    }

    RegionState withChildren(List<MemoryRegion> next) {
        return new RegionState(
                placement,
                enabled,
                readonly,
                romd,
                logClients,
                aliasOffsetBytes,
                List.copyOf(next));
    }

    RegionState withoutChild(MemoryRegion child) {
        List<MemoryRegion> next = new ArrayList<>(children);
        next.remove(child);
        return withChildren(next);
    }

    static Set<DirtyClient> withClient(Set<DirtyClient> clients, DirtyClient client, boolean on) {
        EnumSet<DirtyClient> next = EnumSet.noneOf(DirtyClient.class);
        next.addAll(clients);
        if (on) {
            next.add(client);
        } else {
            next.remove(client);
        }
        return Set.copyOf(next);
    }
}
