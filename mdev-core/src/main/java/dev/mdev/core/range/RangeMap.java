package dev.mdev.core.range;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToLongFunction;

/// Values with disjoint ranges of numbers; a number finds its value. A map never changes, so
/// readers need no lock; a change returns a new map.
public final class RangeMap<V> {
    /// Ascending by their starts.
    private final List<V> values;

    private final long[] starts;
    private final long[] ends;
    private final ToLongFunction<V> startOf;
    private final ToLongFunction<V> endOf;

    private RangeMap(List<V> sorted, ToLongFunction<V> startOf, ToLongFunction<V> endOf) {
        values = List.copyOf(sorted);
        starts = values.stream().mapToLong(startOf).toArray();
        ends = values.stream().mapToLong(endOf).toArray();
        this.startOf = startOf;
        this.endOf = endOf;
        for (int i = 1; i < starts.length; i++) {
            if (starts[i] < ends[i - 1]) {
                throw new IllegalStateException(
                        "ranges overlap: %s %s".formatted(values.get(i - 1), values.get(i)));
            }
        }
    }

    /// A map of these values.
    ///
    /// @param startOf the start of a value's range
    /// @param endOf its end, more than the start
    /// @throws IllegalStateException if two ranges overlap
    public static <V> RangeMap<V> of(
            Collection<V> values, ToLongFunction<V> startOf, ToLongFunction<V> endOf) {
        return new RangeMap<>(
                values.stream().sorted(Comparator.comparingLong(startOf)).toList(), startOf, endOf);
    }

    /// This map with one more value.
    ///
    /// @throws IllegalStateException if its range overlaps another
    public RangeMap<V> with(V added) {
        List<V> next = new ArrayList<>(values);
        next.add(lastStartingAtOrBelow(startOf.applyAsLong(added)) + 1, added);
        return new RangeMap<>(next, startOf, endOf);
    }

    /// This map without a value.
    @SuppressWarnings("ReferenceEquality") // that very value
    public RangeMap<V> without(V gone) {
        return new RangeMap<>(
                values.stream().filter(value -> value != gone).toList(), startOf, endOf);
    }

    /// The value whose range contains the number, or null.
    public @Nullable V find(long at) {
        int index = lastStartingAtOrBelow(at);
        return index >= 0 && at < ends[index] ? values.get(index) : null;
    }

    /// The values whose ranges overlap `[start, end)`, ascending.
    public List<V> overlapping(long start, long end) {
        int below = lastStartingAtOrBelow(start);
        int from = below >= 0 && ends[below] > start ? below : below + 1;
        int to = from;
        while (to < starts.length && starts[to] < end) {
            to++;
        }
        return values.subList(from, to);
    }

    /// The lowest start of a range that is more than `at`; [Long#MAX_VALUE] if there is none.
    public long startAbove(long at) {
        int index = lastStartingAtOrBelow(at) + 1;
        return index < starts.length ? starts[index] : Long.MAX_VALUE;
    }

    /// All values, ascending.
    public List<V> values() {
        return values;
    }

    private int lastStartingAtOrBelow(long at) {
        int index = Arrays.binarySearch(starts, at);
        return index >= 0 ? index : -index - 2;
    }
}
