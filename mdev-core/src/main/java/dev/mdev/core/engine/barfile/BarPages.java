package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.barfile.PageWords.ABSENT;
import static dev.mdev.core.engine.barfile.PageWords.DENIED;
import static dev.mdev.core.engine.barfile.PageWords.GRANTED;
import static dev.mdev.core.engine.barfile.PageWords.state;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.hostmm.HostMemory;

import java.util.List;

/// Grants, refusals and revocations of the pages of one file. [PageStates] has the states. Not for
/// the readers of [FuseConnection], except for [#clients].
final class BarPages {
    /// From this many pages on, a grant makes room for reads of many pages.
    private static final long BULK_PAGES = 8;

    /// The most pages that leave the page cache at a time: a read of the file waits for a look at
    /// all of them.
    private static final long MAX_RUN = 1 << 15;

    private final PageStates states;
    private final PageCache cache;
    private final BarCounters counters;
    private final ClientPages clients;
    private final HostPages host;

    /// Rises with each revocation of any page.
    @GuardedBy("states.lock")
    private long epoch;

    private final Ticker ticker;

    BarPages(PageStates states, PageCache cache, BarCounters counters) {
        this.states = states;
        this.ticker = states.ticker();
        this.cache = cache;
        this.counters = counters;
        this.clients = new ClientPages(states, counters);
        this.host = new HostPages(states, cache);
    }

    /// The pages as clients read and write them.
    ClientPages clients() {
        return clients;
    }

    /// Grants pages that are not granted, and answers the accesses that wait for them.
    ///
    /// When it returns, none waits: so a revocation, which comes later, finds no read of these
    /// pages in progress that depends on it.
    ///
    /// @throws MdevException EBUSY if one of the physical pages is visible at another place
    void grant(long first, PfnRange pfns, boolean writable) {
        HostMemory.Block block = states.memory().blockOf(pfns.firstPfn());
        block.homedPages().publish(pfns, host, first);
        Waiting.Answers answers = new Waiting.Answers();
        try {
            grantPublished(first, pfns, writable, answers);
        } catch (RuntimeException | Error e) {
            block.homedPages().withdraw(pfns);
            throw e;
        }
        try {
            if (pfns.npages() >= BULK_PAGES) {
                makeRoomForBulk(first, first + pfns.npages(), answers.pages());
            }
        } finally {
            answers.send();
            noteFresh(answers.pages());
        }
    }

    private void noteFresh(List<Long> answered) {
        states.lock.lock();
        try {
            long now = ticker.nanoTime();
            FreshPages fresh = states.freshLocked();
            answered.forEach(page -> fresh.answered(page, now));
        } finally {
            states.lock.unlock();
        }
    }

    private void grantPublished(
            long first, PfnRange pfns, boolean writable, Waiting.Answers answers) {
        long end = first + pfns.npages();
        while (true) {
            evictAll(DENIED, first, end);
            states.lock.lock();
            try {
                states.awaitSettledLocked(first, end);
                // An access may have been refused since.
                if (states.findLocked(DENIED, first, end) == end) {
                    grantLocked(first, pfns, writable, answers);
                    return;
                }
            } finally {
                states.lock.unlock();
            }
        }
    }

    @GuardedBy("states.lock")
    private void grantLocked(long first, PfnRange pfns, boolean writable, Waiting.Answers answers) {
        for (long i = 0; i < pfns.npages(); i++) {
            long page = first + i;
            states.setLocked(page, PageWords.granted(pfns.firstPfn() + i, writable));
            if (states.answerLocked(page, states.waitingLocked().takeTouch(page), answers)) {
                answers.note(page);
            }
        }
    }

    /// Removes what a refused read of many pages left in the page cache: pages without content,
    /// that the kernel would read one by one. Now it reads many at a time again.
    ///
    /// Call this before the answers are sent. A client that ran on meanwhile would find some of the
    /// pages dropped and some not, and the kernel might then read ahead a single page beyond the
    /// grant, which looks like an access. The pages that wait for an answer are locked in the page
    /// cache; they stay.
    private void makeRoomForBulk(long first, long end, List<Long> answered) {
        long page = first;
        for (long done : answered) {
            dropIfPossible(page, done);
            page = done + 1;
        }
        dropIfPossible(page, end);
    }

    private void dropIfPossible(long first, long end) {
        if (first < end) {
            try {
                cache.drop(first, end - first);
            } catch (MdevException _) {
                // The pages are granted all the same.
            }
        }
    }

    /// Revokes granted pages. When it returns, their content is in their own memory, and no client
    /// access reaches it. Pages that clients have just waited for stay for a moment: [FreshPages].
    ///
    /// @throws MdevException EIO if the kernel does not let go of some; the caller may try again
    void revoke(long first, long end) {
        states.lock.lock();
        try {
            epoch++;
        } finally {
            states.lock.unlock();
        }
        // No page of these becomes fresh meanwhile: a grant of one comes after the revocation.
        letFreshStay(false, first, end);
        evictAll(GRANTED, first, end);
    }

    /// Makes refused pages unknown again: the next access asks. For a revocation of any pages, at
    /// its end.
    void allowAgain(long first, long end) {
        states.lock.lock();
        try {
            epoch++;
            if (!states.anyDeniedLocked()) {
                return;
            }
        } finally {
            states.lock.unlock();
        }
        letFreshStay(true, first, end);
        evictAll(DENIED, first, end);
    }

    /// Waits until the fresh ones of some pages may be taken: those that are refused, or those that
    /// are granted.
    private void letFreshStay(boolean refused, long first, long end) {
        long rest = 0;
        states.lock.lock();
        try {
            long now = ticker.nanoTime();
            FreshPages fresh = states.freshLocked();
            for (long page : fresh.in(first, end, now)) {
                if (isTaken(states.getLocked(page), refused)) {
                    rest = Math.max(rest, fresh.take(page, now));
                }
            }
        } finally {
            states.lock.unlock();
        }
        if (rest > 0) {
            ticker.sleep(rest);
        }
    }

    private static boolean isTaken(long word, boolean refused) {
        int state = state(word);
        return state != ABSENT && (state == DENIED) == refused;
    }

    /// Makes the pages of one state in a range absent, run by run.
    private void evictAll(int state, long first, long end) {
        long page = first;
        while (page < end) {
            long runFirst;
            long runEnd;
            states.lock.lock();
            try {
                runFirst =
                        state == GRANTED
                                ? states.findGrantedLocked(page, end)
                                : states.findLocked(state, page, end);
                runEnd = states.takeLocked(state, runFirst, Math.min(end, runFirst + MAX_RUN));
            } finally {
                states.lock.unlock();
            }
            if (runFirst < runEnd) {
                host.awaitReads();
                new Eviction(states, cache, runFirst, runEnd, ABSENT).run();
            }
            page = runEnd;
        }
    }

    /// A number that changes when any page is revoked.
    long epoch() {
        states.lock.lock();
        try {
            return epoch;
        } finally {
            states.lock.unlock();
        }
    }

    /// Answers the accesses that wait for a page with a refusal.
    ///
    /// @param asked the [#epoch] before the driver was asked
    /// @return false if a revocation came in the meantime: ask again
    boolean deny(long page, long asked) {
        Waiting.Answers answers = new Waiting.Answers();
        states.lock.lock();
        try {
            if (epoch != asked && !states.isClosedLocked()) {
                return false;
            }
            denyLocked(page, answers);
        } finally {
            states.lock.unlock();
        }
        answers.send();
        return true;
    }

    /// The same, however many revocations came.
    void refuse(long page) {
        Waiting.Answers answers = new Waiting.Answers();
        states.lock.lock();
        try {
            denyLocked(page, answers);
        } finally {
            states.lock.unlock();
        }
        answers.send();
    }

    @GuardedBy("states.lock")
    private void denyLocked(long page, Waiting.Answers answers) {
        Waiting waiting = states.waitingLocked();
        if (!waiting.refuse(page, answers)) {
            return;
        }
        counters.refused();
        if (waiting.refusesWithOnes() && state(states.getLocked(page)) == ABSENT) {
            states.denyLocked(page);
            states.freshLocked().answered(page, ticker.nanoTime());
        }
    }

    /// Refuses the accesses that wait for too long.
    void expire(long nowNanos) {
        Waiting.Answers answers = new Waiting.Answers();
        states.lock.lock();
        try {
            for (long page : states.waitingLocked().overdue(nowNanos)) {
                counters.timedOut();
                denyLocked(page, answers);
            }
        } finally {
            states.lock.unlock();
        }
        answers.send();
    }

    /// Fails the accesses that wait for a page, because no thread can ask for it.
    void giveUp(long page, Errno errno) {
        Waiting.Answers answers = new Waiting.Answers();
        states.lock.lock();
        try {
            var _ = states.waitingLocked().fail(page, errno, answers);
        } finally {
            states.lock.unlock();
        }
        answers.send();
    }

    /// Whether an access waits for a page.
    boolean isAwaited(long page) {
        states.lock.lock();
        try {
            return states.waitingLocked().hasTouch(page);
        } finally {
            states.lock.unlock();
        }
    }

    /// Refuses all accesses from now on.
    void close() {
        Waiting.Answers answers = new Waiting.Answers();
        states.lock.lock();
        try {
            states.closeLocked();
            for (long page : states.waitingLocked().touched()) {
                denyLocked(page, answers);
            }
        } finally {
            states.lock.unlock();
        }
        answers.send();
    }
}
