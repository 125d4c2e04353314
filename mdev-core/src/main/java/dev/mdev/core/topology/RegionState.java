package dev.mdev.core.topology;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/// The attributes of a region that can change.
///
/// @param placement its place, or null without a container
/// @param enabled whether it and everything below it is visible
/// @param readonly whether writes trap, here and in everything below it
/// @param romd whether a ROM device is in ROM mode
/// @param mergeable whether pieces of it, and of everything below it, may become one with their
///   neighbours
/// @param logClients the clients of its dirty log
/// @param aliasOffsetBytes an alias's first byte within its target, unsigned
/// @param children the subregions, in descending order of visibility
record RegionState(
        @Nullable Placement placement,
        boolean enabled,
        boolean readonly,
        boolean romd,
        boolean mergeable,
        Set<DirtyClient> logClients,
        long aliasOffsetBytes,
        List<MemoryRegion> children) {

    /// The place of a region.
    ///
    /// @param container the region around it
    /// @param offsetBytes its first byte within the container, unsigned
    /// @param priority of overlapping siblings, the one with the higher priority is visible
    record Placement(MemoryRegion container, long offsetBytes, int priority) {}

    static RegionState initial() {
        return new RegionState(null, true, false, true, true, Set.of(), 0, List.of());
    }

    RegionState withPlacement(@Nullable Placement next) {
        return new RegionState(
                next, enabled, readonly, romd, mergeable, logClients, aliasOffsetBytes, children);
    }

    RegionState withEnabled(boolean next) {
        return new RegionState(
                placement, next, readonly, romd, mergeable, logClients, aliasOffsetBytes, children);
    }

    RegionState withReadonly(boolean next) {
        return new RegionState(
                placement, enabled, next, romd, mergeable, logClients, aliasOffsetBytes, children);
    }

    RegionState withRomd(boolean next) {
        return new RegionState(
                placement,
                enabled,
                readonly,
                next,
                mergeable,
                logClients,
                aliasOffsetBytes,
                children);
    }

    RegionState withMergeable(boolean next) {
        return new RegionState(
                placement, enabled, readonly, romd, next, logClients, aliasOffsetBytes, children);
    }

    RegionState withLog(DirtyClient client, boolean on) {
        Set<DirtyClient> next = withClient(logClients, client, on);
        return new RegionState(
                placement, enabled, readonly, romd, mergeable, next, aliasOffsetBytes, children);
    }

    RegionState withAliasOffset(long nextOffsetBytes) {
        return new RegionState(
                placement,
                enabled,
                readonly,
                romd,
                mergeable,
                logClients,
                nextOffsetBytes,
                children);
    }

    RegionState withChildren(List<MemoryRegion> next) {
        return new RegionState(
                placement,
                enabled,
                readonly,
                romd,
                mergeable,
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
