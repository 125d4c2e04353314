package dev.mdev.host.web;

import org.jspecify.annotations.Nullable;

/// One condition of a list.
public final class Filter {
    private Filter() {}

    /// Whether a value is the wanted one.
    ///
    /// @param wanted null if every value is
    public static <T> boolean fits(@Nullable T wanted, @Nullable T value) {
        return wanted == null || wanted.equals(value);
    }
}
