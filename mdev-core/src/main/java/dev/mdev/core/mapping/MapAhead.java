package dev.mdev.core.mapping;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MapRequest;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;

import java.util.ArrayDeque;
import java.util.concurrent.locks.ReentrantLock;

/// Decides for one lazy area how many pages to ask a driver for at a fault, in the manner of
/// Linux's readahead: more and more while faults come in order, otherwise one page.
///
/// - A fault right after the end of the last grant continues a *stream*: the request is for twice
///   as many pages as the last time, up to the area's limit, and never more than [#MAX_PAGES].
/// - Any other fault begins a stream: one page. Up to [#STREAMS] streams are remembered, so that
///   processors that sweep different parts do not disturb each other; a new one replaces the one
///   that has been idle longest.
/// - If a driver grants less than requested, the next request is for twice the granted number.
/// - If a request for more than one page fails, or the answer is refused, the page is requested
///   alone: mapping ahead never fails an access.
/// - A revocation ends all streams. So does an upgrade, which revokes one page.
///
/// Only pages after the accessed one are requested. Downward sweeps stay at one page per fault.
///
/// Any thread may call all methods. The lock is a leaf, and is released while the driver decides.
final class MapAhead {
    /// The maximum number of pages in one request: 2 MiB, the largest mapping of a lazy area.
    static final int MAX_PAGES = 512;

    /// The number of remembered streams.
    static final int STREAMS = 4;

    private final int limitPages;

    /// Set by revocations, which come under a lock that excludes all others.
    private volatile boolean revoked;

    private final ReentrantLock lock = new ReentrantLock();

    /// The stream that was continued last comes first.
    @GuardedBy("lock")
    private final ArrayDeque<Stream> streams = new ArrayDeque<>();

    /// Faults that are expected to continue at a page.
    ///
    /// @param nextPage the page
    /// @param npages pages of the last request, at least 1
    private record Stream(long nextPage, long npages) {}

    /// @param declaredPages the area's limit; 0 switches this off
    MapAhead(int declaredPages) {
        limitPages = Math.min(declaredPages, MAX_PAGES);
    }

    /// Asks a driver.
    @FunctionalInterface
    interface Question {
        /// @param isTrial whether another, smaller request follows a failure
        Fill ask(MapRequest request, boolean isTrial);
    }

    /// Answers a fault by one request to the driver, or by a second one if the driver fails a
    /// request for more than the accessed page.
    ///
    /// @param request the plain request, with the widest window
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

    /// Whether more than the page may be requested: not where the host maps ahead anyway, and not
    /// for an upgrade, because the neighbours have their rights.
    private static boolean isGuess(MapRequest.Reason reason) {
        return switch (reason) {
            case FIRST_TOUCH, AFTER_REVOKE -> true;
            case UPGRADE, PREFETCH -> false;
        };
    }

    /// Whether the driver answered with a refusal. After a timeout there is no second request.
    static boolean isWorthAnother(Errno errno) {
        return errno != Errno.ETIMEDOUT && errno != Errno.EINTR && errno != Errno.ECANCELED;
    }

    /// Removes the stream that continues at `page`.
    ///
    /// @return the number of pages to request
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

    /// Records that a page of the area was unmapped. Takes no lock.
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

    /// The same request, as one for which no guest waits: the record of a failed trial.
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
