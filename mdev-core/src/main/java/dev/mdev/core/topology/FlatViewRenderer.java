package dev.mdev.core.topology;

import dev.mdev.core.topology.RegionState.Placement;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;

/// Flattens a tree of regions (QEMU `render_memory_region`).
///
/// The first rendered range wins: siblings are visited by descending priority and subregions before
/// their own container's content, and each piece fills only the addresses that are still free. A
/// root that is also in a container appears at its place there: at address 0 only if that is its
/// offset.
///
/// Offsets are unsigned 64-bit numbers. A visit carries the visible part of the region as a span of
/// the region's own offsets, so that no sum can wrap.
final class FlatViewRenderer {
    private final TopologyEdit edit;

    /// By first address, unsigned; disjoint.
    private final NavigableMap<Long, FlatRange> rendered = new TreeMap<>(Long::compareUnsigned);

    private FlatViewRenderer(TopologyEdit edit) {
        this.edit = edit;
    }

    /// The view of an address space with this root, in the state that `edit` has drafted.
    static FlatView render(MemoryRegion root, TopologyEdit edit) {
        FlatViewRenderer renderer = new FlatViewRenderer(edit);
        Placement placement = edit.state(root).placement();
        long firstGpa = placement == null ? 0 : placement.offsetBytes();
        long lastBytes = minUnsigned(root.lastOffsetBytes(), -1L - firstGpa);
        renderer.visit(root, new Span(0, lastBytes, firstGpa), new Above(false, true));
        return FlatView.of(List.copyOf(renderer.rendered.values()));
    }

    /// A part of a region and the place where it is visible.
    ///
    /// @param firstBytes its first byte, as an offset within the region
    /// @param lastBytes its last byte, likewise
    /// @param firstGpa the place of the first byte
    private record Span(long firstBytes, long lastBytes, long firstGpa) {
        long gpaOf(long offsetBytes) {
            return firstGpa + (offsetBytes - firstBytes);
        }

        long lastGpa() {
            return gpaOf(lastBytes);
        }
    }

    /// What a region gets from those that it is seen through.
    private record Above(boolean readonly, boolean mergeable) {
        Above and(RegionKind kind, RegionState state) {
            return new Above(
                    readonly || state.readonly() || kind instanceof RegionKind.Rom,
                    mergeable && state.mergeable());
        }
    }

    private void visit(MemoryRegion region, Span span, Above above) {
        RegionState state = edit.state(region);
        if (!state.enabled() || region.size().empty()) {
            return;
        }
        Above seen = above.and(region.kind(), state);
        if (region.kind() instanceof RegionKind.Alias(MemoryRegion target)) {
            visitTarget(target, state.aliasOffsetBytes(), span, seen);
            return;
        }
        for (MemoryRegion child : state.children()) {
            visitChild(child, span, seen);
        }
        if (region.kind().isTerminating()) {
            fill(region, span, seen);
        }
    }

    private void visitTarget(MemoryRegion target, long shiftBytes, Span span, Above seen) {
        // The extent of the target, counted in offsets of the alias.
        if (target.size().empty()
                || Long.compareUnsigned(shiftBytes, target.lastOffsetBytes()) > 0) {
            return;
        }
        long reachBytes = target.lastOffsetBytes() - shiftBytes;
        if (Long.compareUnsigned(span.firstBytes, reachBytes) > 0) {
            return;
        }
        long lastBytes = minUnsigned(span.lastBytes, reachBytes);
        visit(
                target,
                new Span(span.firstBytes + shiftBytes, lastBytes + shiftBytes, span.firstGpa),
                seen);
    }

    private void visitChild(MemoryRegion child, Span span, Above seen) {
        Placement placement = edit.state(child).placement();
        if (placement == null) {
            throw new AssertionError("child=%s is in no container".formatted(child));
        }
        long startBytes = placement.offsetBytes();
        if (Long.compareUnsigned(startBytes, span.lastBytes) > 0) {
            return;
        }
        long firstBytes = maxUnsigned(startBytes, span.firstBytes) - startBytes;
        if (child.size().empty() || Long.compareUnsigned(firstBytes, child.lastOffsetBytes()) > 0) {
            return;
        }
        long lastBytes = minUnsigned(span.lastBytes - startBytes, child.lastOffsetBytes());
        visit(child, new Span(firstBytes, lastBytes, span.gpaOf(startBytes + firstBytes)), seen);
    }

    /// Lays the region's own content into the holes of its span.
    private void fill(MemoryRegion region, Span span, Above seen) {
        long gpa = span.firstGpa;
        for (FlatRange above : overlapping(span)) {
            if (Long.compareUnsigned(gpa, above.firstGpa()) < 0) {
                put(region, span, seen, gpa, above.firstGpa() - 1);
            }
            if (above.lastGpa() == -1L) {
                return;
            }
            gpa = above.lastGpa() + 1;
        }
        if (Long.compareUnsigned(gpa, span.lastGpa()) <= 0) {
            put(region, span, seen, gpa, span.lastGpa());
        }
    }

    private List<FlatRange> overlapping(Span span) {
        Map.Entry<Long, FlatRange> before = rendered.lowerEntry(span.firstGpa);
        List<FlatRange> above = new ArrayList<>();
        if (before != null && before.getValue().contains(span.firstGpa)) {
            above.add(before.getValue());
        }
        above.addAll(rendered.subMap(span.firstGpa, true, span.lastGpa(), true).values());
        return above;
    }

    private void put(MemoryRegion region, Span span, Above seen, long firstGpa, long lastGpa) {
        RegionState state = edit.state(region);
        FlatRange range =
                new FlatRange(
                        firstGpa,
                        lastGpa,
                        region,
                        span.firstBytes + (firstGpa - span.firstGpa),
                        seen.readonly,
                        state.romd(),
                        seen.mergeable,
                        logClients(region, state));
        rendered.put(firstGpa, range);
    }

    private Set<DirtyClient> logClients(MemoryRegion region, RegionState state) {
        if (region.kind() instanceof RegionKind.Mmio) {
            return Set.of();
        }
        Set<DirtyClient> clients = state.logClients();
        for (DirtyClient client : edit.globalLog()) {
            clients = RegionState.withClient(clients, client, true);
        }
        return clients;
    }

    private static long minUnsigned(long a, long b) {
        return Long.compareUnsigned(a, b) <= 0 ? a : b;
    }

    private static long maxUnsigned(long a, long b) {
        return Long.compareUnsigned(a, b) >= 0 ? a : b;
    }
}
