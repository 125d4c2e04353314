package dev.mdev.core.vm;

import dev.mdev.core.range.RangeSet;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/// The part of each BAR that a guest sees where ranges overlap.
///
/// As in QEMU, RAM and the memory-mapped configuration space lie above all BARs, and of two BARs
/// the one that was placed last lies above the other; a hidden part appears again when the upper
/// one is removed.
final class VisibleBars {
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
        RangeSet covered = new RangeSet();
        for (Fixed range : fixed) {
            covered.add(range.gpa, range.gpa + range.sizeBytes);
        }
        List<BarClaim> newestFirst = new ArrayList<>(claims);
        newestFirst.sort(Comparator.comparingLong(BarClaim::order).reversed());
        List<Part> parts = new ArrayList<>();
        for (BarClaim claim : newestFirst) {
            long gpa = claim.window().gpa();
            long end = claim.window().endGpa();
            for (RangeSet.Range seen : covered.gaps(gpa, end)) {
                parts.add(new Part(claim, seen.start(), seen.size()));
            }
            covered.add(gpa, end);
        }
        return parts;
    }
}
