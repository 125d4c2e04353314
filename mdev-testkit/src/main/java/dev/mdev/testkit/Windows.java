package dev.mdev.testkit;

import java.util.SplittableRandom;

/// Chooses how much around an accessed page a grant may cover.
@FunctionalInterface
public interface Windows {
    /// Pages `[firstPage, endPage)` of a region.
    record Window(long firstPage, long endPage) {}

    /// The window of a request for `page`.
    ///
    /// @param area the pages of the lazy area that holds the page
    Window around(long page, Window area);

    /// The whole area.
    static Windows wide() {
        return (page, area) -> area;
    }

    /// Only the accessed page.
    static Windows narrow() {
        return (page, area) -> new Window(page, page + 1);
    }

    /// Anything from one page to the whole area.
    static Windows random(SplittableRandom random) {
        return (page, area) -> {
            synchronized (random) {
                return new Window(
                        random.nextLong(area.firstPage(), page + 1),
                        random.nextLong(page + 1, area.endPage() + 1));
            }
        };
    }
}
