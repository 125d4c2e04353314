package dev.mdev.core.hostmm;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Access;
import dev.mdev.core.sync.Cancellation;

import org.jspecify.annotations.Nullable;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// A fault on one page in progress. Other faults on the page wait for it. A zap in the meantime
/// leaves its mark here, so that the vma discards an answer from before the zap.
///
/// The zapped pages are kept as one hull per side of the accessed page: exact enough that an owner
/// that evicts some pages to make room for others is not asked again forever.
final class PendingFill {
    final long page;
    final Access access;

    /// The thread that answers it.
    private final Thread thread = Thread.currentThread();

    private final CountDownLatch done = new CountDownLatch(1);

    /// Written before `done` opens.
    private @Nullable FaultResult result;

    // Zapped during the fill: [lowFirst, lowEnd) below or at the page, [highFirst, highEnd) above
    // it. Guarded by the vma's entries lock.
    private long lowFirst;
    private long lowEnd;
    private long highFirst;
    private long highEnd;

    /// Zaps of any pages since the fault began.
    private int zaps;

    PendingFill(long page, Access access) {
        this.page = page;
        this.access = access;
    }

    /// Notes that pages `[firstPage, endPage)` were zapped.
    void zappedLocked(long firstPage, long endPage) {
        zaps++;
        if (firstPage <= page) {
            lowFirst = lowEnd == 0 ? firstPage : Math.min(lowFirst, firstPage);
            lowEnd = Math.max(lowEnd, endPage);
        } else {
            highFirst = highEnd == 0 ? firstPage : Math.min(highFirst, firstPage);
            highEnd = Math.max(highEnd, endPage);
        }
    }

    /// Zaps of any pages of the vma since the fault began.
    int zapsLocked() {
        return zaps;
    }

    /// Whether one of the pages `[firstPage, endPage)` was zapped.
    boolean isZappedLocked(long firstPage, long endPage) {
        return (lowEnd > firstPage && lowFirst < endPage)
                || (highEnd > firstPage && highFirst < endPage);
    }

    /// The same, and forgets the marks.
    boolean takeZappedLocked(long firstPage, long endPage) {
        boolean hit = isZappedLocked(firstPage, endPage);
        lowFirst = 0;
        lowEnd = 0;
        highFirst = 0;
        highEnd = 0;
        return hit;
    }

    void finish(FaultResult outcome) {
        result = outcome;
        done.countDown();
    }

    /// Waits for the end.
    ///
    /// @return how it ended, or null if it is still running after `timeoutNanos`, or the work of
    ///   the waiting thread was [cancelled][Cancellation]
    @Nullable FaultResult await(long timeoutNanos) throws InterruptedException {
        return switch (Cancellation.await(() -> done.await(timeoutNanos, TimeUnit.NANOSECONDS))) {
            case DONE -> result;
            case TIMED_OUT, CANCELLED -> null;
        };
    }

    /// Waits for the end, for another access to the page. The next try finds the grant in the
    /// table; a refusal of the same access also applies to this one.
    ///
    /// @param objectPage the vma's first page in its object, for messages
    /// @return the outcome, or null to start again
    @Nullable FaultResult awaitFor(Access other, long objectPage, long timeoutNanos) {
        if (thread.equals(Thread.currentThread())) {
            // Such as a driver that reads, as guest memory, the page that it is to grant.
            return new FaultResult.Failed(
                    Errno.EDEADLK,
                    "the page is accessed while its fault is answered: page="
                            + (objectPage + page));
        }
        FaultResult outcome;
        try {
            outcome = await(timeoutNanos);
            if (outcome == null && Cancellation.isCancelled()) {
                return new FaultResult.Failed(
                        Cancellation.errno(), "the step or program that waits must end");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return new FaultResult.Failed(Errno.EINTR, "interrupted in a fault");
        }
        if (outcome == null) {
            return new FaultResult.Failed(
                    Errno.ETIMEDOUT,
                    "another fault on the page was not answered: page=" + (objectPage + page));
        }
        boolean applies = !(outcome instanceof FaultResult.Mapped) && other == access;
        return applies ? outcome : null;
    }
}
