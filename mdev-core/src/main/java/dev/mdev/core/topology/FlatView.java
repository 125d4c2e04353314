package dev.mdev.core.topology;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// What a guest sees at every physical address of one address space: disjoint ranges in ascending
/// (unsigned) order. Between ranges there is nothing. A view never changes.
public final class FlatView {
    static final FlatView EMPTY = new FlatView(List.of());

    private final List<FlatRange> ranges;

    private FlatView(List<FlatRange> ranges) {
        this.ranges = ranges;
    }

    /// The view of `sorted` ranges, with adjacent ranges merged where possible.
    static FlatView of(List<FlatRange> sorted) {
        List<FlatRange> merged = new ArrayList<>();
        for (FlatRange range : sorted) {
            if (!merged.isEmpty() && merged.getLast().joins(range)) {
                merged.add(merged.removeLast().join(range));
            } else {
                merged.add(range);
            }
        }
        return new FlatView(List.copyOf(merged));
    }

    /// The ranges in ascending order.
    public List<FlatRange> ranges() {
        return ranges;
    }

    /// The range that holds `gpa`, or nothing.
    public Optional<FlatRange> find(long gpa) {
        int low = 0;
        int high = ranges.size() - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            FlatRange range = ranges.get(middle);
            if (range.contains(gpa)) {
                return Optional.of(range);
            }
            if (Long.compareUnsigned(range.firstGpa(), gpa) < 0) {
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        return Optional.empty();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof FlatView view && ranges.equals(view.ranges);
    }

    @Override
    public int hashCode() {
        return ranges.hashCode();
    }

    @Override
    public String toString() {
        return ranges.toString();
    }
}
