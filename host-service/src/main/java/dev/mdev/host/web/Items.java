package dev.mdev.host.web;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.function.Function;

/// A part of a list, as a JSON object, so that fields can be added later.
///
/// @param next the `after` of the next part; absent at the end of the list
public record Items<T>(List<T> items, @Nullable String next) {
    /// The same part in another form.
    public <R> Items<R> map(Function<T, R> form) {
        return new Items<>(items.stream().map(form).toList(), next);
    }

    /// A whole list.
    public static <T> Items<T> all(List<T> items) {
        return new Items<>(items, null);
    }
}
