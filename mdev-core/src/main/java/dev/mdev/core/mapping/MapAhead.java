package dev.mdev.core.mapping;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MapRequest;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;

import java.util.ArrayDeque;
import java.util.concurrent.locks.ReentrantLock;

/// Decides for one lazy area how much to ask a driver for at a fault, in the manner of Linux's
/// readahead: more and more while faults come in order, one page while they do not.
///
/// - A fault right after the end of what was granted last continues a *stream*: twice as many pages
///   are asked for as the last time, up to what the area declares, and never more than
///   [#MAX_PAGES].
/// - Any other fault begins a stream: one page. Up to [#STREAMS] streams are remembered, so that
///   processors that sweep different parts do not disturb each other; a new one takes the place of
///   the one that waited longest.
/// - A driver that grants less than it was asked for is asked for twice that the next time.
/// - When a question for more than one page fails, or the answer is refused, the page is asked for
///   alone: mapping ahead never fails an access.
/// - A revocation forgets all streams. So does an upgrade, which revokes one page.
///
/// Only what follows the touched page is asked for. Sweeps downwards stay at one page a fault.
///
/// All methods may be called by any thread. The lock is a leaf, and is not held while the driver is
/// asked.
final class MapAhead {
    /// The most pages of one question: 2 MiB, what the largest mapping of a lazy area covers.
    static final int MAX_PAGES = 512;

    /// Streams that are remembered.
    static final int STREAMS = 4;

    private final int limitPages;

    /// Set by revocations, which come under a lock below which none may be taken.
    private volatile boolean revoked;

    private final ReentrantLock lock = new ReentrantLock();

    /// The stream that was continued last comes first.
    @GuardedBy("lock")
    private final ArrayDeque<Stream> streams = new ArrayDeque<>();

    /// Faults that are expected to go on at a page.
    ///
    /// @param nextPage where
    /// @param npages pages that were asked for last, at least 1
    private record Stream(long nextPage, long npages) {}

    /// @param declaredPages the area's limit; 0 switches this off
    MapAhead(int declaredPages) {
        limitPages = Math.min(declaredPages, MAX_PAGES);
    }

    /// Asks a driver.
    @FunctionalInterface
    interface Question {
        /// @param isTrial whether a failure is followed by another, smaller question
        Fill ask(MapRequest request, boolean isTrial);
    }

    /// Answers a fault by asking the driver once, or a second time if it fails to answer a question
    /// for more than the touched page.
    ///
    /// @param request the plain question, with the widest window
    Fill fault(MapRequest request, Question driver) {
        if (limitPages == 0 || !isGuess(request.reason())) {
            return driver.ask(request, false);
        }
        long page = request.page();
        long npages = Math.min(take(page), request.endPage() - page);
        Fill fill = driver.ask(narrowed(request, npages), npages > 1);
        if (npages > 1
                && fill instanceof FaultResult.Failed failed
                && isWorthAnother(failed.refusal().errno())) {
            npages = 1;
            fill = driver.ask(narrowed(request, 1), false);
        }
        if (fill instanceof Fill.Map map) {
            long end = map.firstPage() + map.pfns().npages();
            remember(new Stream(end, Math.min(npages, end - page)));
        }
        return fill;
    }

    /// Whether more than the page may be asked for: not where the host maps ahead anyway, and not
    /// where a page that is there gets more rights, as its neighbours have theirs.
    private static boolean isGuess(MapRequest.Reason reason) {
        return switch (reason) {
            case FIRST_TOUCH, AFTER_REVOKE -> true;
            case UPGRADE, PREFETCH -> false;
        };
    }

    /// Whether the driver is there and said no. One that does not answer in time is not asked
    /// again.
    static boolean isWorthAnother(Errno errno) {
        return errno != Errno.ETIMEDOUT && errno != Errno.EINTR;
    }

    /// Takes the stream that goes on at `page` out.
    ///
    /// @return how many pages to ask for
    private long take(long page) {
        lock.lock();
        try {
            if (revoked) {
                revoked = false;
                streams.clear();
            }
            Stream found = null;
            for (Stream stream : streams) {
                if (stream.nextPage == page) {
                    found = stream;
                    break;
                }
            }
            return found == null ? 1 : takeLocked(found);
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private long takeLocked(Stream stream) {
        streams.remove(stream);
        return Math.min(2 * stream.npages, limitPages);
    }

    private void remember(Stream stream) {
        lock.lock();
        try {
            streams.addFirst(stream);
            if (streams.size() > STREAMS) {
                streams.removeLast();
            }
        } finally {
            lock.unlock();
        }
    }

    /// Says that a page of the area was unmapped. Takes no lock.
    void revoked() {
        revoked = true;
    }

    private static MapRequest narrowed(MapRequest request, long npages) {
        return new MapRequest(
                request.region(),
                request.page(),
                request.page(),
                request.page() + npages,
                request.access(),
                request.reason());
    }

    /// The same question as one that no guest waits for: how a failed trial is recorded.
    static MapRequest asPrefetch(MapRequest request) {
        return new MapRequest(
                request.region(),
                request.page(),
                request.firstPage(),
                request.endPage(),
                request.access(),
                MapRequest.Reason.PREFETCH);
    }
}
