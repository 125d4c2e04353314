package dev.mdev.core.range;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// A set of whole numbers, kept as the smallest number of ranges. Not thread-safe.
public final class RangeSet {
    /// The end of each range, by its start. Ranges neither overlap nor touch.
    private final TreeMap<Long, Long> ends = new TreeMap<>();

    /// Numbers `[start, end)`.
    ///
    /// @param end more than `start`
    public record Range(long start, long end) {
        /// The number of its elements.
        public long size() {
            return end - start;
        }
    }

    public RangeSet copy() {
        RangeSet copy = new RangeSet();
        copy.ends.putAll(ends);
        return copy;
    }

    /// Adds `[start, end)`; some of it may be in the set.
    public void add(long start, long end) {
        if (start >= end) {
            return;
        }
        long first = start;
        long last = end;
        Map.Entry<Long, Long> near = ends.floorEntry(last);
        while (near != null && near.getValue() >= first) {
            first = Math.min(first, near.getKey());
            last = Math.max(last, near.getValue());
            ends.remove(near.getKey());
            near = ends.floorEntry(last);
        }
        ends.put(first, last);
    }

    /// Removes `[start, end)`; some of it may not be in the set.
    public void remove(long start, long end) {
        Map.Entry<Long, Long> hit = ends.lowerEntry(end);
        while (start < end && hit != null && hit.getValue() > start) {
            ends.remove(hit.getKey());
            if (hit.getValue() > end) {
                ends.put(end, hit.getValue());
            }
            if (hit.getKey() < start) {
                ends.put(hit.getKey(), start);
            }
            hit = ends.lowerEntry(hit.getKey());
        }
    }

    public void clear() {
        ends.clear();
    }

    /// Whether all of `[start, end)` is in the set.
    public boolean contains(long start, long end) {
        Map.Entry<Long, Long> range = ends.floorEntry(start);
        return start >= end || (range != null && range.getValue() >= end);
    }

    /// The parts of `[start, end)` that are in the set, ascending.
    public List<Range> within(long start, long end) {
        List<Range> found = new ArrayList<>();
        Long first = ends.floorKey(start);
        ends.tailMap(first == null ? start : first).entrySet().stream()
                .takeWhile(range -> range.getKey() < end)
                .forEach(range ->
                        addIfAny(
                                found,
                                Math.max(start, range.getKey()),
                                Math.min(end, range.getValue())));
        return found;
    }

    /// The parts of `[start, end)` that are not in the set, ascending.
    public List<Range> gaps(long start, long end) {
        List<Range> gaps = new ArrayList<>();
        long at = start;
        for (Range range : within(start, end)) {
            addIfAny(gaps, at, range.start);
            at = range.end;
        }
        addIfAny(gaps, at, end);
        return gaps;
    }

    private static void addIfAny(List<Range> ranges, long start, long end) {
        if (start < end) {
            ranges.add(new Range(start, end));
        }
    }

    /// The ranges, ascending; no two touch.
    public List<Range> ranges() {
        List<Range> ranges = new ArrayList<>(ends.size());
        ends.forEach((start, end) -> ranges.add(new Range(start, end)));
        return ranges;
    }

    /// The number of elements of the set.
    public long size() {
        return ranges().stream().mapToLong(Range::size).sum();
    }

    public boolean isEmpty() {
        return ends.isEmpty();
    }

    @Override
    public String toString() {
        return ranges().toString();
    }
}
