package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.barfile.PageWords.isSettled;
import static dev.mdev.core.engine.barfile.PageWords.pfn;
import static dev.mdev.core.engine.barfile.PageWords.state;
import static dev.mdev.core.engine.barfile.PageWords.withState;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.hostmm.HostMemory;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The states of the pages of one file, and the reads that wait.
///
///     ABSENT --grant--> GRANTED --revoke--> EVICTING --> ABSENT
///                       GRANTED --hold--> EVICTING --> HELD --release--> GRANTED
///     ABSENT --deny--> DENIED --revoke or grant--> EVICTING --> ABSENT
///
/// A page in [PageWords#EVICTING] or [PageWords#HELD] belongs to the thread that brought it there.
/// A page outside [PageWords#ABSENT] has no read that waits for the driver.
///
/// The lock is a leaf, and is held for copies of pages, never for a system call.
final class PageStates {
    /// A kernel that does not drop a page for so long is broken.
    static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(60);

    final ReentrantLock lock = new ReentrantLock();
    private final Condition settled = lock.newCondition();
    private final HostMemory memory;

    @GuardedBy("lock")
    private final PageWords words;

    @GuardedBy("lock")
    private final Waiting waiting;

    private final Ticker ticker;

    @GuardedBy("lock")
    private final FreshPages fresh = new FreshPages();

    /// Pages that are refused.
    @GuardedBy("lock")
    private long denied;

    @GuardedBy("lock")
    private boolean closed;

    /// @param waiting becomes this object's
    PageStates(long npages, HostMemory memory, Waiting waiting, Ticker ticker) {
        this.words = new PageWords(npages);
        this.memory = memory;
        this.waiting = waiting;
        this.ticker = ticker;
    }

    /// What the pfns mean.
    HostMemory memory() {
        return memory;
    }

    /// The time.
    Ticker ticker() {
        return ticker;
    }

    @GuardedBy("lock")
    FreshPages freshLocked() {
        return fresh;
    }

    @GuardedBy("lock")
    Waiting waitingLocked() {
        return waiting;
    }

    @GuardedBy("lock")
    long getLocked(long page) {
        return words.get(page);
    }

    @GuardedBy("lock")
    void setLocked(long page, long word) {
        words.set(page, word);
    }

    /// Notes that the kernel gets the content of a page.
    @GuardedBy("lock")
    void cachedLocked(long page) {
        words.set(page, words.get(page) | PageWords.CACHED);
    }

    @GuardedBy("lock")
    void denyLocked(long page) {
        words.set(page, PageWords.DENIED | PageWords.CACHED);
        denied++;
    }

    @GuardedBy("lock")
    boolean anyDeniedLocked() {
        return denied > 0;
    }

    /// Copies a part of a page's own memory; ones if it has none.
    @GuardedBy("lock")
    void copyLocked(long page, long offsetInPage, MemorySegment into) {
        long pfn = pfn(words.get(page));
        if (pfn == 0) {
            into.fill((byte) -1);
            return;
        }
        HostMemory.Block block = memory.blockOf(pfn);
        MemorySegment.copy(
                block.segment(), block.offsetOf(pfn) + offsetInPage, into, 0, into.byteSize());
    }

    /// Stores to a part of a page's own memory.
    @GuardedBy("lock")
    void storeLocked(long page, long offsetInPage, MemorySegment data) {
        long pfn = pfn(words.get(page));
        HostMemory.Block block = memory.blockOf(pfn);
        MemorySegment.copy(
                data, 0, block.segment(), block.offsetOf(pfn) + offsetInPage, data.byteSize());
    }

    /// Answers requests with the content of a page.
    ///
    /// @return whether there are any
    @GuardedBy("lock")
    boolean answerLocked(long page, List<Long> uniques, Waiting.Answers answers) {
        if (uniques.isEmpty()) {
            return false;
        }
        copyLocked(page, 0, waiting.answer(uniques, answers));
        cachedLocked(page);
        return true;
    }

    /// Refuses all accesses from now on.
    @GuardedBy("lock")
    void closeLocked() {
        closed = true;
    }

    @GuardedBy("lock")
    boolean isClosedLocked() {
        return closed;
    }

    /// The first page of a state in `[page, end)`, or `end`.
    @GuardedBy("lock")
    long findLocked(int state, long page, long end) {
        long at = page;
        while (at < end && state(words.get(at)) != state) {
            at++;
        }
        return at;
    }

    /// The first granted page in `[page, end)`, or `end`. Waits for pages that belong to a thread:
    /// the host gives a page that it holds back as granted.
    ///
    /// @throws MdevException EIO if one does not settle
    @GuardedBy("lock")
    long findGrantedLocked(long page, long end) {
        long at = page;
        while (at < end) {
            awaitSettledLocked(at, at + 1);
            if (state(words.get(at)) == PageWords.GRANTED) {
                return at;
            }
            at++;
        }
        return end;
    }

    /// Makes neighbours of one state evicting, from a page on. They are the caller's then.
    ///
    /// @return the first page that is not of that state, or `end`
    @GuardedBy("lock")
    long takeLocked(int state, long page, long end) {
        long at = page;
        while (at < end && state(words.get(at)) == state) {
            words.set(at, withState(words.get(at), PageWords.EVICTING));
            at++;
        }
        denied -= state == PageWords.DENIED ? at - page : 0;
        return at;
    }

    /// Waits until no page in a range is anyone's.
    ///
    /// @throws MdevException EIO if that takes too long
    @GuardedBy("lock")
    void awaitSettledLocked(long first, long end) {
        long rest = PATIENCE_NANOS;
        boolean interrupted = false;
        long page = first;
        while (page < end) {
            if (isSettled(words.get(page))) {
                page++;
                continue;
            }
            if (rest <= 0) {
                throw new MdevException(Errno.EIO, "the page does not settle: page=" + page);
            }
            try {
                rest = settled.awaitNanos(rest);
            } catch (InterruptedException _) {
                interrupted = true;
            }
            page = first;
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /// Wakes threads that wait for pages.
    @GuardedBy("lock")
    void settledLocked() {
        settled.signalAll();
    }
}
