package dev.mdev.core.topology;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/// What is seen at one address, worked out from the top for that address alone: the oracle for
/// flattening. It keeps its own books of every edit.
final class RegionModel {
    final List<Node> nodes = new ArrayList<>();
    final Set<DirtyClient> globalLog = EnumSet.noneOf(DirtyClient.class);
    private long placements;

    /// A region and its state, as the model believes it to be.
    static final class Node {
        final MemoryRegion region;
        final @Nullable Node target;
        @Nullable Node parent;
        long offsetBytes;
        int priority;
        long placed;
        boolean enabled = true;
        boolean readonly;
        boolean mergeable = true;
        boolean romMode = true;
        long aliasOffsetBytes;
        Set<DirtyClient> log = EnumSet.noneOf(DirtyClient.class);

        Node(MemoryRegion region, @Nullable Node target) {
            this.region = region;
            this.target = target;
        }
    }

    /// What answers an address.
    ///
    /// @param way the regions that it is seen through
    record Hit(Node node, long offsetBytes, Way way, Set<DirtyClient> log) {}

    /// Regions on the way from a root, and what they agree on.
    record Way(List<Node> nodes, boolean readonly, boolean mergeable) {
        static final Way START = new Way(List.of(), false, true);

        Way through(Node node) {
            List<Node> longer = new ArrayList<>(nodes);
            longer.add(node);
            return new Way(
                    longer,
                    readonly || node.readonly || node.region.kind() instanceof RegionKind.Rom,
                    mergeable && node.mergeable);
        }

        /// Whether a page may consist of parts that are seen these ways.
        boolean joins(Way other) {
            return equals(other) || (mergeable && other.mergeable);
        }
    }

    Node add(MemoryRegion region, @Nullable Node target) {
        Node node = new Node(region, target);
        nodes.add(node);
        return node;
    }

    void place(Node child, Node parent, long offsetBytes, int priority) {
        child.parent = parent;
        child.offsetBytes = offsetBytes;
        child.priority = priority;
        child.placed = ++placements;
    }

    /// A copy of every node's state, to return to.
    Runnable save() {
        List<Runnable> undo = new ArrayList<>();
        for (Node node : nodes) {
            Node parent = node.parent;
            long offsetBytes = node.offsetBytes;
            int priority = node.priority;
            long placed = node.placed;
            boolean enabled = node.enabled;
            boolean readonly = node.readonly;
            boolean mergeable = node.mergeable;
            boolean romMode = node.romMode;
            long aliasOffsetBytes = node.aliasOffsetBytes;
            Set<DirtyClient> log = copy(node.log);
            undo.add(() -> {
                node.parent = parent;
                node.offsetBytes = offsetBytes;
                node.priority = priority;
                node.placed = placed;
                node.enabled = enabled;
                node.readonly = readonly;
                node.mergeable = mergeable;
                node.romMode = romMode;
                node.aliasOffsetBytes = aliasOffsetBytes;
                node.log = log;
            });
        }
        Set<DirtyClient> global = copy(globalLog);
        return () -> {
            undo.forEach(Runnable::run);
            globalLog.clear();
            globalLog.addAll(global);
        };
    }

    @Nullable Hit resolve(Node root, long gpa) {
        // A root that is in a container as well is at its offset there.
        return resolve(root, root.parent == null ? gpa : gpa - root.offsetBytes, Way.START);
    }

    private @Nullable Hit resolve(Node node, long offsetBytes, Way above) {
        if (!node.enabled
                || node.region.size().empty()
                || offsetBytes < 0
                || Long.compareUnsigned(offsetBytes, node.region.lastOffsetBytes()) > 0) {
            return null;
        }
        Way way = above.through(node);
        if (node.target != null) {
            return resolve(node.target, offsetBytes + node.aliasOffsetBytes, way);
        }
        List<Node> children =
                nodes.stream()
                        .filter(child -> child.parent == node)
                        .sorted(
                                Comparator.comparingInt((Node child) -> -child.priority)
                                        .thenComparingLong(child -> -child.placed))
                        .toList();
        for (Node child : children) {
            Hit hit = resolve(child, offsetBytes - child.offsetBytes, way);
            if (hit != null) {
                return hit;
            }
        }
        return switch (node.region.kind()) {
            case RegionKind.Container _, RegionKind.Alias _ -> null;
            case RegionKind.Mmio _ -> new Hit(node, offsetBytes, way, Set.of());
            case RegionKind.Ram _, RegionKind.Smram _, RegionKind.Rom _, RegionKind.RomDevice _ ->
                    new Hit(node, offsetBytes, way, clients(node));
        };
    }

    private Set<DirtyClient> clients(Node node) {
        Set<DirtyClient> clients = copy(node.log);
        clients.addAll(globalLog);
        return clients;
    }

    private static Set<DirtyClient> copy(Set<DirtyClient> clients) {
        Set<DirtyClient> copy = EnumSet.noneOf(DirtyClient.class);
        copy.addAll(clients);
        return copy;
    }
}
