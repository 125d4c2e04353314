package dev.mdev.core.engine.barfile;

import java.util.ArrayList;
import java.util.List;

/// The first access to a page, while it waits for an answer. Guarded by the lock of [PageStates],
/// except for the constants.
final class Touch {
    final long page;
    final long deadlineNanos;

    /// The requests that wait.
    final List<Long> uniques = new ArrayList<>();

    /// @param deadlineNanos by [System#nanoTime]
    Touch(long page, long unique, long deadlineNanos) {
        this.page = page;
        this.deadlineNanos = deadlineNanos;
        uniques.add(unique);
    }
}
