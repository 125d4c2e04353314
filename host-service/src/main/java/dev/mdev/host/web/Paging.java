package dev.mdev.host.web;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.jspecify.annotations.Nullable;

import java.util.Comparator;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// Which part of a list a client asks for. A place in a list is the name of the item before it, so
/// that parts neither overlap nor leave out items when others come and go in between.
///
/// @param limit the most items, 1 to [#MAX_LIMIT]
/// @param after the name of the last item that the client has; null for the beginning
public record Paging(int limit, @Nullable String after) {
    /// The most items of an answer, also where the client says nothing.
    public static final int MAX_LIMIT = 1000;

    /// The same, for annotations.
    public static final String DEFAULT_LIMIT = "1000";

    /// @throws ProblemException if the limit is out of range
    public Paging {
        if (limit < 1 || limit > MAX_LIMIT) {
            throw ProblemException.invalid(
                    List.of(new Violation("", "limit is 1 to " + MAX_LIMIT)));
        }
    }

    /// The part of a list in the order of the items' names.
    ///
    /// @param nameOf a name that no other item has
    public <T> Items<T> sorted(Stream<T> items, Function<T, String> nameOf) {
        return part(
                items.filter(item -> after == null || nameOf.apply(item).compareTo(after) > 0)
                        .sorted(Comparator.comparing(nameOf))
                        .limit(limit + 1L)
                        .toList(),
                nameOf);
    }

    /// The part of a list that has an order of its own and does not change.
    ///
    /// @param nameOf a name that no other item has
    /// @throws ProblemException if no item has the name `after`
    public <T> Items<T> inOrder(List<T> items, Function<T, String> nameOf) {
        return part(items.stream().skip(firstOf(items, nameOf)).limit(limit + 1L).toList(), nameOf);
    }

    private <T> int firstOf(List<T> items, Function<T, String> nameOf) {
        if (after == null) {
            return 0;
        }
        return IntStream.range(0, items.size())
                        .filter(i -> nameOf.apply(items.get(i)).equals(after))
                        .findFirst()
                        .orElseThrow(() ->
                                new ProblemException(
                                        Problem.MALFORMED, "after is no item of this list"))
                + 1;
    }

    /// @param items the part, and one more if there is one
    private <T> Items<T> part(List<T> items, Function<T, String> nameOf) {
        if (items.size() <= limit) {
            return Items.all(items);
        }
        List<T> part = items.subList(0, limit);
        return new Items<>(part, nameOf.apply(part.getLast()));
    }
}
