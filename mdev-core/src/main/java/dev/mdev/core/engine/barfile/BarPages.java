package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.barfile.PageWords.ABSENT;
import static dev.mdev.core.engine.barfile.PageWords.CACHED;
import static dev.mdev.core.engine.barfile.PageWords.DENIED;
import static dev.mdev.core.engine.barfile.PageWords.EVICTING;
import static dev.mdev.core.engine.barfile.PageWords.GRANTED;
import static dev.mdev.core.engine.barfile.PageWords.HELD;
import static dev.mdev.core.engine.barfile.PageWords.WRITABLE;
import static dev.mdev.core.engine.barfile.PageWords.has;
import static dev.mdev.core.engine.barfile.PageWords.isSettled;
import static dev.mdev.core.engine.barfile.PageWords.pfn;
import static dev.mdev.core.engine.barfile.PageWords.state;
import static dev.mdev.core.engine.barfile.PageWords.withState;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.PageHome;
import dev.mdev.core.sync.Srcu;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The pages of one file: which are granted, where their newest content is, and the way in and out
/// of the kernel's page cache. See the package for why it is right.
///
///     ABSENT --grant--> GRANTED --revoke--> EVICTING --> ABSENT
///                       GRANTED --hold--> EVICTING --> HELD --release--> GRANTED
///     ABSENT --deny--> DENIED --allowAgain, grant--> EVICTING --> ABSENT
///
/// A page in [PageWords#EVICTING] or [PageWords#HELD] belongs to the thread that brought it there.
///
/// The lock is a leaf, and is held for copies of pages, never for a system call.
final class BarPages implements PageHome {
    /// From this many pages on, what clients wrote is brought in bulk before pages are dropped.
    private static final long BULK_PAGES = 8;

    /// A kernel that does not drop a page for so long is broken.
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(60);

    private final HostMemory memory;
    private final PageCache cache;
    private final BarCounters counters;

    /// Read sections are reads of the page cache by the host. A revocation waits for them.
    private final Srcu reads = new Srcu();

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition settled = lock.newCondition();

    @GuardedBy("lock")
    private final PageWords words;

    @GuardedBy("lock")
    private final Waiting waiting;

    /// Pages that are refused.
    @GuardedBy("lock")
    private long denied;

    /// Rises with each revocation of any page.
    @GuardedBy("lock")
    private long epoch;

    @GuardedBy("lock")
    private boolean closed;

    /// @param waiting becomes this object's
    BarPages(
            long npages,
            HostMemory memory,
            PageCache cache,
            Waiting waiting,
            BarCounters counters) {
        this.words = new PageWords(npages);
        this.memory = memory;
        this.cache = cache;
        this.waiting = waiting;
        this.counters = counters;
    }

    /// What becomes of a read request.
    enum Found {
        /// Its data are in the buffer.
        CONTENT,
        /// It gets its answer later.
        WAITS,
        /// The same, and it is the first one that waits for its page: ask the driver.
        ASK,
        /// Too many wait.
        BUSY,
        /// It cannot be answered as it is.
        REFUSED
    }

    /// Looks up a read of one whole page.
    ///
    /// @param isHost whether the host reads: then it does not ask the driver
    /// @param into one page
    Found readPage(long page, long unique, boolean isHost, MemorySegment into) {
        lock.lock();
        try {
            long word = words.get(page);
            return switch (state(word)) {
                case GRANTED, EVICTING, DENIED -> {
                    copyLocked(page, into);
                    words.set(page, word | CACHED);
                    yield Found.CONTENT;
                }
                case HELD -> waiting.park(page, unique) ? Found.WAITS : Found.BUSY;
                default -> isHost ? Found.REFUSED : touchLocked(page, unique, into);
            };
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private Found touchLocked(long page, long unique, MemorySegment into) {
        if (!closed) {
            return waiting.touch(page, unique);
        }
        if (!waiting.refusesWithOnes()) {
            return Found.REFUSED;
        }
        into.fill((byte) -1);
        return Found.CONTENT;
    }

    /// Looks up a read of several pages, or of parts of pages: all must be granted. Such a read
    /// does not say which page was touched, and the kernel asks again for that page alone.
    Found readMany(long offsetBytes, MemorySegment into) {
        long first = Page.numberOf(offsetBytes);
        long end = Page.numberOf(offsetBytes + into.byteSize() - 1) + 1;
        lock.lock();
        try {
            for (long page = first; page < end; page++) {
                if (state(words.get(page)) != GRANTED) {
                    return Found.REFUSED;
                }
            }
            long done = 0;
            while (done < into.byteSize()) {
                long at = offsetBytes + done;
                long page = Page.numberOf(at);
                long length = Math.min(into.byteSize() - done, Page.SIZE - Page.offsetOf(at));
                long word = words.get(page);
                HostMemory.Block block = memory.blockOf(pfn(word));
                MemorySegment.copy(
                        block.segment(),
                        block.offsetOf(pfn(word)) + Page.offsetOf(at),
                        into,
                        done,
                        length);
                words.set(page, word | CACHED);
                done += length;
            }
            return Found.CONTENT;
        } finally {
            lock.unlock();
        }
    }

    /// The page's own content; ones if it has no memory.
    @GuardedBy("lock")
    private void copyLocked(long page, MemorySegment into) {
        long pfn = pfn(words.get(page));
        if (pfn == 0) {
            into.fill((byte) -1);
        } else {
            HostMemory.Block block = memory.blockOf(pfn);
            MemorySegment.copy(block.segment(), block.offsetOf(pfn), into, 0, Page.SIZE);
        }
    }

    /// Takes what clients wrote into pages that were granted writable; other stores are lost.
    void writtenBack(long offsetBytes, MemorySegment data) {
        long done = 0;
        while (done < data.byteSize()) {
            long at = offsetBytes + done;
            long length = Math.min(data.byteSize() - done, Page.SIZE - Page.offsetOf(at));
            lock.lock();
            try {
                long word = words.get(Page.numberOf(at));
                if (has(word, WRITABLE) && (state(word) == GRANTED || state(word) == EVICTING)) {
                    storeLocked(word, Page.offsetOf(at), data.asSlice(done, length));
                } else {
                    counters.storesLost();
                }
            } finally {
                lock.unlock();
            }
            done += length;
        }
    }

    /// A client's `write(2)`: all its pages must be granted.
    ///
    /// @return whether they are
    boolean write(long offsetBytes, MemorySegment data) {
        long first = Page.numberOf(offsetBytes);
        long end = Page.numberOf(offsetBytes + data.byteSize() - 1) + 1;
        lock.lock();
        try {
            for (long page = first; page < end; page++) {
                long word = words.get(page);
                if (state(word) != GRANTED || !has(word, WRITABLE)) {
                    return false;
                }
            }
            long done = 0;
            while (done < data.byteSize()) {
                long at = offsetBytes + done;
                long length = Math.min(data.byteSize() - done, Page.SIZE - Page.offsetOf(at));
                long word = words.get(Page.numberOf(at));
                storeLocked(word, Page.offsetOf(at), data.asSlice(done, length));
                words.set(Page.numberOf(at), word | CACHED);
                done += length;
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void storeLocked(long word, long offsetInPage, MemorySegment data) {
        HostMemory.Block block = memory.blockOf(pfn(word));
        MemorySegment.copy(
                data,
                0,
                block.segment(),
                block.offsetOf(pfn(word)) + offsetInPage,
                data.byteSize());
    }

    /// Grants pages that are not granted, and answers the accesses that wait for them.
    ///
    /// When it returns, none waits: so a revocation, which comes later, finds no read of these
    /// pages in progress that depends on it.
    ///
    /// @throws MdevException EBUSY if one of the physical pages is visible at another place
    void grant(long first, PfnRange pfns, boolean writable) {
        HostMemory.Block block = memory.blockOf(pfns.firstPfn());
        block.homedPages().publish(pfns, this, first);
        Waiting.Answers answers;
        try {
            answers = grantPublished(first, pfns, writable);
        } catch (RuntimeException | Error e) {
            block.homedPages().withdraw(pfns);
            throw e;
        }
        answers.send();
        if (pfns.npages() >= BULK_PAGES) {
            makeRoomForBulk(first, first + pfns.npages(), answers.pages());
        }
    }

    /// Removes what a refused read of many pages left in the page cache: pages without content,
    /// that the kernel would read one by one. Now it reads many at a time again.
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

    private Waiting.Answers grantPublished(long first, PfnRange pfns, boolean writable) {
        long end = first + pfns.npages();
        while (true) {
            evictAll(DENIED, first, end);
            lock.lock();
            try {
                awaitSettledLocked(first, end);
                if (findLocked(DENIED, first, end) == end) {
                    return grantLocked(first, pfns, writable);
                }
            } finally {
                lock.unlock();
            }
        }
    }

    @GuardedBy("lock")
    private Waiting.Answers grantLocked(long first, PfnRange pfns, boolean writable) {
        Waiting.Answers answers = waiting.answers();
        for (long i = 0; i < pfns.npages(); i++) {
            long page = first + i;
            words.set(page, PageWords.granted(pfns.firstPfn() + i, writable));
            if (waiting.takeTouch(page, answers, into -> copyLocked(page, into))) {
                words.set(page, words.get(page) | CACHED);
                answers.note(page);
            }
        }
        return answers;
    }

    /// The first page of a state in `[page, end)`, or `end`.
    @GuardedBy("lock")
    private long findLocked(int state, long page, long end) {
        long at = page;
        while (at < end && state(words.get(at)) != state) {
            at++;
        }
        return at;
    }

    /// Revokes granted pages. When it returns, their content is in their own memory, and no client
    /// access reaches it.
    ///
    /// @throws MdevException EIO if the kernel does not let go of them; they are granted still
    void revoke(long first, long end) {
        lock.lock();
        try {
            epoch++;
            awaitSettledLocked(first, end);
        } finally {
            lock.unlock();
        }
        evictAll(GRANTED, first, end);
    }

    /// Makes refused pages unknown again: the next access asks. For a revocation of any pages, at
    /// its end.
    void allowAgain(long first, long end) {
        lock.lock();
        try {
            epoch++;
            if (denied == 0) {
                return;
            }
        } finally {
            lock.unlock();
        }
        evictAll(DENIED, first, end);
    }

    /// Makes the pages of one state in a range absent, run by run.
    private void evictAll(int state, long first, long end) {
        long page = first;
        while (page < end) {
            long runFirst;
            long runEnd;
            lock.lock();
            try {
                runFirst = findLocked(state, page, end);
                runEnd = runFirst;
                while (runEnd < end && state(words.get(runEnd)) == state) {
                    words.set(runEnd, withState(words.get(runEnd), EVICTING));
                    runEnd++;
                }
                denied -= state == DENIED ? runEnd - runFirst : 0;
            } finally {
                lock.unlock();
            }
            if (runFirst < runEnd) {
                reads.synchronize();
                evictMarked(runFirst, runEnd, ABSENT);
            }
            page = Math.max(runEnd, page + 1);
        }
    }

    /// Takes pages that this thread made evicting, all of them, out of the page cache.
    ///
    /// A read that comes while the kernel drops pages is answered with what the page has: a read
    /// holds the page's lock in the kernel, and a page that is being dropped waits for that. So the
    /// page may be cached again afterwards, and then is dropped again, until none is.
    private void evictMarked(long first, long end, int target) {
        new Eviction(first, end, target).run();
    }

    /// One eviction.
    private final class Eviction {
        private final long first;
        private final long end;
        private final int target;
        private long dropFirst;
        private long dropEnd;

        Eviction(long first, long end, int target) {
            this.first = first;
            this.end = end;
            this.target = target;
        }

        void run() {
            long start = System.nanoTime();
            boolean done = false;
            try {
                while (!takeCached()) {
                    if (System.nanoTime() - start > PATIENCE_NANOS) {
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
            lock.lock();
            try {
                dropFirst = Long.MAX_VALUE;
                dropEnd = 0;
                for (long page = first; page < end; page++) {
                    long word = words.get(page);
                    if (has(word, CACHED)) {
                        dropFirst = Math.min(dropFirst, page);
                        dropEnd = page + 1;
                        words.set(page, word & ~CACHED);
                    }
                }
                if (dropEnd != 0) {
                    return false;
                }
                finishLocked();
                return true;
            } finally {
                lock.unlock();
            }
        }

        @GuardedBy("lock")
        private void finishLocked() {
            for (long page = first; page < end; page++) {
                long word = words.get(page);
                if (target == ABSENT) {
                    if (pfn(word) != 0) {
                        memory.blockOf(pfn(word)).homedPages().withdraw(new PfnRange(pfn(word), 1));
                    }
                    words.set(page, ABSENT);
                } else {
                    words.set(page, withState(word, target));
                }
            }
            settled.signalAll();
        }

        /// As before. The kernel may have the pages.
        private void undo() {
            lock.lock();
            try {
                for (long page = first; page < end; page++) {
                    long word = words.get(page);
                    boolean refused = pfn(word) == 0;
                    denied += refused ? 1 : 0;
                    words.set(page, withState(word | CACHED, refused ? DENIED : GRANTED));
                }
                settled.signalAll();
            } finally {
                lock.unlock();
            }
        }
    }

    /// A number that changes when any page is revoked.
    long epoch() {
        lock.lock();
        try {
            return epoch;
        } finally {
            lock.unlock();
        }
    }

    /// Answers the accesses that wait for a page with a refusal.
    ///
    /// @param asked the [#epoch] before the driver was asked
    /// @return false if a revocation came in the meantime: ask again
    boolean deny(long page, long asked) {
        Waiting.Answers answers = waiting.answers();
        lock.lock();
        try {
            if (epoch != asked && !closed) {
                return false;
            }
            denyLocked(page, answers);
        } finally {
            lock.unlock();
        }
        answers.send();
        return true;
    }

    @GuardedBy("lock")
    private void denyLocked(long page, Waiting.Answers answers) {
        boolean waited = waiting.refuse(page, answers);
        if (waited && waiting.refusesWithOnes() && state(words.get(page)) == ABSENT) {
            words.set(page, DENIED | CACHED);
            denied++;
        }
        if (waited) {
            counters.refused();
        }
    }

    /// Answers the accesses that wait for too long.
    void expire(long nowNanos) {
        Waiting.Answers answers = waiting.answers();
        lock.lock();
        try {
            for (long page : waiting.overdue(nowNanos)) {
                counters.timedOut();
                denyLocked(page, answers);
            }
        } finally {
            lock.unlock();
        }
        answers.send();
    }

    /// Gives up the accesses that wait for a page, because nobody can ask for it.
    void giveUp(long page, Errno errno) {
        Waiting.Answers answers = waiting.answers();
        lock.lock();
        try {
            var _ = waiting.fail(page, errno, answers);
        } finally {
            lock.unlock();
        }
        answers.send();
    }

    /// Whether an access waits for a page.
    boolean isAwaited(long page) {
        lock.lock();
        try {
            return waiting.hasTouch(page);
        } finally {
            lock.unlock();
        }
    }

    /// From now on no access asks: each is refused.
    void close() {
        Waiting.Answers answers = waiting.answers();
        lock.lock();
        try {
            closed = true;
            for (long page : waiting.touched()) {
                denyLocked(page, answers);
            }
        } finally {
            lock.unlock();
        }
        answers.send();
    }

    @Override
    public boolean read(
            PfnRange pfns, long firstHomePage, long offsetBytes, MemorySegment destination) {
        int section = reads.readLock();
        try {
            Place place;
            lock.lock();
            try {
                place = placeLocked(pfns, firstHomePage);
                if (place == Place.OWN) {
                    HostMemory.Block block = memory.blockOf(pfns.firstPfn());
                    MemorySegment.copy(
                            block.segment(),
                            block.offsetOf(pfns.firstPfn()) + offsetBytes,
                            destination,
                            0,
                            destination.byteSize());
                }
            } finally {
                lock.unlock();
            }
            return switch (place) {
                case OWN -> true;
                case GONE -> false;
                case CACHE -> {
                    readCache(Page.addressOf(firstHomePage) + offsetBytes, destination);
                    yield true;
                }
                case MIXED -> readEach(pfns, firstHomePage, offsetBytes, destination);
            };
        } finally {
            reads.readUnlock(section);
        }
    }

    private boolean readEach(
            PfnRange pfns, long firstHomePage, long offsetBytes, MemorySegment destination) {
        long done = 0;
        while (done < destination.byteSize()) {
            long at = offsetBytes + done;
            long length = Math.min(destination.byteSize() - done, Page.SIZE - Page.offsetOf(at));
            long page = Page.numberOf(at);
            if (!read(
                    new PfnRange(pfns.firstPfn() + page, 1),
                    firstHomePage + page,
                    Page.offsetOf(at),
                    destination.asSlice(done, length))) {
                return false;
            }
            done += length;
        }
        return true;
    }

    private void readCache(long offsetBytes, MemorySegment destination) {
        if (!cache.read(offsetBytes, destination)) {
            throw new MdevException(
                    Errno.EIO, "the page cache cannot be read: offset=0x%x".formatted(offsetBytes));
        }
    }

    /// Where the newest content of pages is.
    private enum Place {
        OWN,
        CACHE,
        MIXED,
        GONE
    }

    /// Stores to a page that is granted for loads are lost, so its own memory counts.
    @GuardedBy("lock")
    private Place placeLocked(PfnRange pfns, long firstHomePage) {
        boolean cached = false;
        boolean loadsOnly = false;
        for (long i = 0; i < pfns.npages(); i++) {
            long word = words.get(firstHomePage + i);
            if (state(word) != GRANTED || pfn(word) != pfns.firstPfn() + i) {
                return Place.GONE;
            }
            cached |= has(word, CACHED) && has(word, WRITABLE);
            loadsOnly |= !has(word, WRITABLE);
        }
        if (!cached || cache.isDead()) {
            return Place.OWN;
        }
        return loadsOnly ? Place.MIXED : Place.CACHE;
    }

    @Override
    public boolean hold(PfnRange pfns, long firstHomePage) {
        long end = firstHomePage + pfns.npages();
        lock.lock();
        try {
            for (long page = firstHomePage; page < end; page++) {
                long word = words.get(page);
                if (state(word) != GRANTED
                        || pfn(word) != pfns.firstPfn() + (page - firstHomePage)) {
                    return false;
                }
            }
            for (long page = firstHomePage; page < end; page++) {
                words.set(page, withState(words.get(page), EVICTING));
            }
        } finally {
            lock.unlock();
        }
        evictMarked(firstHomePage, end, HELD);
        return true;
    }

    @Override
    public void release(PfnRange pfns, long firstHomePage) {
        Waiting.Answers answers = waiting.answers();
        lock.lock();
        try {
            for (long page = firstHomePage; page < firstHomePage + pfns.npages(); page++) {
                words.set(page, withState(words.get(page), GRANTED));
                long at = page;
                if (waiting.takeParked(page, answers, into -> copyLocked(at, into))) {
                    words.set(page, words.get(page) | CACHED);
                }
            }
            settled.signalAll();
        } finally {
            lock.unlock();
        }
        answers.send();
    }

    @Override
    public void settle(long homePage) {
        lock.lock();
        try {
            awaitSettledLocked(homePage, homePage + 1);
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void awaitSettledLocked(long first, long end) {
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
}
