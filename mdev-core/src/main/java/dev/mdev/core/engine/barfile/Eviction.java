package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.barfile.PageWords.ABSENT;
import static dev.mdev.core.engine.barfile.PageWords.CACHED;
import static dev.mdev.core.engine.barfile.PageWords.GRANTED;
import static dev.mdev.core.engine.barfile.PageWords.has;
import static dev.mdev.core.engine.barfile.PageWords.pfn;
import static dev.mdev.core.engine.barfile.PageWords.withState;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.PfnRange;

/// Takes neighbouring pages, which this thread made evicting, out of the kernel's page cache: when
/// it ends, no client has them, and what clients wrote is in the pages' own memory.
///
/// A read that comes while the kernel drops pages gets what the page has: it holds the page's lock
/// in the kernel, and dropping the page waits for that lock. If the kernel had already passed the
/// page, it is cached again; then it is dropped again, until none is. Dropping a page is quicker
/// than reading one, so that each round has fewer pages than the one before.
final class Eviction {
    /// From this many pages on, what clients wrote is brought in bulk: dropping a page brings it
    /// alone.
    private static final long BULK_PAGES = 8;

    private final PageStates states;
    private final PageCache cache;
    private final long first;
    private final long end;
    private final int target;
    private long dropFirst;
    private long dropEnd;

    /// @param first first page
    /// @param end the first page after them
    /// @param target their state afterwards, [PageWords#ABSENT] or [PageWords#HELD]
    Eviction(PageStates states, PageCache cache, long first, long end, int target) {
        this.states = states;
        this.cache = cache;
        this.first = first;
        this.end = end;
        this.target = target;
    }

    /// Evicts the pages.
    ///
    /// @throws MdevException EIO if the kernel keeps them; they are as before then
    void run() {
        long start = System.nanoTime();
        boolean done = false;
        try {
            while (!takeCached()) {
                if (System.nanoTime() - start > PageStates.PATIENCE_NANOS) {
                    throw new MdevException(
                            Errno.EIO, "pages stay cached: [%d, %d)".formatted(first, end));
                }
                if (dropEnd - dropFirst >= BULK_PAGES) {
                    cache.writeBack(dropFirst, dropEnd - dropFirst);
                }
                cache.drop(dropFirst, dropEnd - dropFirst);
            }
            done = true;
        } finally {
            if (!done) {
                undo();
            }
        }
    }

    /// Looks for cached pages, and gives the pages their target if there are none.
    ///
    /// @return whether there are none
    private boolean takeCached() {
        states.lock.lock();
        try {
            dropFirst = end;
            dropEnd = first;
            for (long page = first; page < end; page++) {
                long word = states.getLocked(page);
                if (has(word, CACHED)) {
                    dropFirst = Math.min(dropFirst, page);
                    dropEnd = page + 1;
                    states.setLocked(page, word & ~CACHED);
                }
            }
            if (dropFirst < dropEnd) {
                return false;
            }
            finishLocked();
            return true;
        } finally {
            states.lock.unlock();
        }
    }

    @GuardedBy("states.lock")
    private void finishLocked() {
        for (long page = first; page < end; page++) {
            long word = states.getLocked(page);
            if (target == ABSENT) {
                if (pfn(word) != 0) {
                    states.memory()
                            .blockOf(pfn(word))
                            .homedPages()
                            .withdraw(new PfnRange(pfn(word), 1));
                }
                states.setLocked(page, ABSENT);
            } else {
                states.setLocked(page, withState(word, target));
            }
        }
        states.settledLocked();
    }

    /// The kernel may have the pages.
    private void undo() {
        states.lock.lock();
        try {
            for (long page = first; page < end; page++) {
                long word = states.getLocked(page);
                if (pfn(word) == 0) {
                    states.denyLocked(page);
                } else {
                    states.setLocked(page, withState(word | CACHED, GRANTED));
                }
            }
            states.settledLocked();
        } finally {
            states.lock.unlock();
        }
    }
}
