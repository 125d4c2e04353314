package dev.mdev.core.vm;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// The part of each BAR that a guest sees where ranges overlap.
///
/// As in QEMU, RAM and the memory-mapped configuration space lie above all BARs, and of two BARs
/// the one that was placed last lies above the other; a hidden part appears again when the upper
/// one is removed.
final class VisibleBars {
    /// The covered ranges so far: ends by starts, disjoint.
    private final TreeMap<Long, Long> covered = new TreeMap<>();

    private VisibleBars() {}

    /// A visible part of a claim.
    record Part(BarClaim claim, long gpa, long sizeBytes) {
        /// Its offset in the region.
        long offsetBytes() {
            return gpa - claim.window().gpa();
        }
    }

    /// A range without visible BARs.
    record Fixed(long gpa, long sizeBytes) {}

    static List<Part> of(List<Fixed> fixed, List<BarClaim> claims) {
        VisibleBars bars = new VisibleBars();
        for (Fixed range : fixed) {
            bars.cover(range.gpa, range.gpa + range.sizeBytes);
        }
        List<BarClaim> newestFirst = new ArrayList<>(claims);
        newestFirst.sort(Comparator.comparingLong(BarClaim::order).reversed());
        List<Part> parts = new ArrayList<>();
        for (BarClaim claim : newestFirst) {
            bars.addUncovered(claim, parts);
            bars.cover(claim.window().gpa(), claim.window().endGpa());
        }
        return parts;
    }

    private void addUncovered(BarClaim claim, List<Part> parts) {
        long at = claim.window().gpa();
        long end = claim.window().endGpa();
        Map.Entry<Long, Long> below = covered.floorEntry(at);
        if (below != null) {
            at = Math.max(at, below.getValue());
        }
        while (at < end) {
            Map.Entry<Long, Long> next = covered.ceilingEntry(at);
            long stop = next == null ? end : Math.min(end, next.getKey());
            if (stop > at) {
                parts.add(new Part(claim, at, stop - at));
            }
            at = next == null ? end : next.getValue();
        }
    }

    private void cover(long start, long end) {
        if (start == end) {
            return;
        }
        long from = start;
        long to = end;
        Map.Entry<Long, Long> below = covered.floorEntry(start);
        if (below != null && below.getValue() >= start) {
            from = below.getKey();
            to = Math.max(to, below.getValue());
        }
        for (Map.Entry<Long, Long> other = covered.ceilingEntry(from);
                other != null && other.getKey() <= to;
                other = covered.ceilingEntry(from)) {
            to = Math.max(to, other.getValue());
            covered.remove(other.getKey());
        }
        covered.put(from, to);
    }
}
