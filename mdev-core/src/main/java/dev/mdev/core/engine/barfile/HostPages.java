package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.barfile.PageWords.CACHED;
import static dev.mdev.core.engine.barfile.PageWords.GRANTED;
import static dev.mdev.core.engine.barfile.PageWords.HELD;
import static dev.mdev.core.engine.barfile.PageWords.WRITABLE;
import static dev.mdev.core.engine.barfile.PageWords.has;
import static dev.mdev.core.engine.barfile.PageWords.pfn;
import static dev.mdev.core.engine.barfile.PageWords.state;
import static dev.mdev.core.engine.barfile.PageWords.withState;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.hostmm.PageHome;
import dev.mdev.core.sync.Srcu;

import java.lang.foreign.MemorySegment;

/// The granted pages of one file as the host reads and writes them.
///
/// A read of a page that the kernel has cached goes through the page cache, where the newest
/// content is. A write takes the page out of the cache first, stores to the page's own memory, and
/// lets clients read it again. It is no `write(2)` to the file, because that takes the lock of the
/// inode, which a client can hold for as long as it likes.
final class HostPages implements PageHome {
    private final PageStates states;
    private final PageCache cache;

    /// Read sections are reads of the page cache. A revocation waits for them.
    private final Srcu reads = new Srcu();

    HostPages(PageStates states, PageCache cache) {
        this.states = states;
        this.cache = cache;
    }

    /// Waits for the end of all reads of the page cache that have begun.
    void awaitReads() {
        reads.synchronize();
    }

    /// Where the newest content of pages is.
    private enum Place {
        OWN,
        CACHE,
        MIXED,
        GONE
    }

    @Override
    public boolean read(
            PfnRange pfns, long firstHomePage, long offsetBytes, MemorySegment destination) {
        int section = reads.readLock();
        try {
            return switch (placeOrOwn(pfns, firstHomePage, offsetBytes, destination)) {
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

    /// Says where the content is, and copies it if it is in the pages' own memory.
    private Place placeOrOwn(
            PfnRange pfns, long firstHomePage, long offsetBytes, MemorySegment destination) {
        states.lock.lock();
        try {
            Place place = placeLocked(pfns, firstHomePage);
            if (place == Place.OWN) {
                for (PagePart part : PagePart.of(offsetBytes, destination)) {
                    states.copyLocked(
                            firstHomePage + part.page(), part.offsetInPage(), part.buffer());
                }
            }
            return place;
        } finally {
            states.lock.unlock();
        }
    }

    /// Stores to a page that is granted for loads are lost, so its own memory counts.
    @GuardedBy("states.lock")
    private Place placeLocked(PfnRange pfns, long firstHomePage) {
        if (!areHereLocked(pfns, firstHomePage)) {
            return Place.GONE;
        }
        boolean cached = false;
        boolean loadsOnly = false;
        for (long i = 0; i < pfns.npages(); i++) {
            long word = states.getLocked(firstHomePage + i);
            cached |= has(word, CACHED) && has(word, WRITABLE);
            loadsOnly |= !has(word, WRITABLE);
        }
        if (!cached || cache.isDead()) {
            return Place.OWN;
        }
        return loadsOnly ? Place.MIXED : Place.CACHE;
    }

    @GuardedBy("states.lock")
    private boolean areHereLocked(PfnRange pfns, long firstHomePage) {
        for (long i = 0; i < pfns.npages(); i++) {
            long word = states.getLocked(firstHomePage + i);
            if (state(word) != GRANTED || pfn(word) != pfns.firstPfn() + i) {
                return false;
            }
        }
        return true;
    }

    private boolean readEach(
            PfnRange pfns, long firstHomePage, long offsetBytes, MemorySegment destination) {
        for (PagePart part : PagePart.of(offsetBytes, destination)) {
            if (!read(
                    new PfnRange(pfns.firstPfn() + part.page(), 1),
                    firstHomePage + part.page(),
                    part.offsetInPage(),
                    part.buffer())) {
                return false;
            }
        }
        return true;
    }

    private void readCache(long offsetBytes, MemorySegment destination) {
        if (!cache.read(offsetBytes, destination)) {
            throw new MdevException(
                    Errno.EIO, "the page cache cannot be read: offset=0x%x".formatted(offsetBytes));
        }
    }

    @Override
    public boolean hold(PfnRange pfns, long firstHomePage) {
        long end = firstHomePage + pfns.npages();
        states.lock.lock();
        try {
            if (!areHereLocked(pfns, firstHomePage)) {
                return false;
            }
            var _ = states.takeLocked(GRANTED, firstHomePage, end);
        } finally {
            states.lock.unlock();
        }
        new Eviction(states, cache, firstHomePage, end, HELD).run();
        return true;
    }

    @Override
    public void release(PfnRange pfns, long firstHomePage) {
        Waiting.Answers answers = new Waiting.Answers();
        states.lock.lock();
        try {
            for (long i = 0; i < pfns.npages(); i++) {
                long page = firstHomePage + i;
                states.setLocked(page, withState(states.getLocked(page), GRANTED));
                var _ = states.answerLocked(page, states.waitingLocked().takeParked(page), answers);
            }
            states.settledLocked();
        } finally {
            states.lock.unlock();
        }
        answers.send();
    }

    @Override
    public void settle(long homePage) {
        states.lock.lock();
        try {
            states.awaitSettledLocked(homePage, homePage + 1);
        } finally {
            states.lock.unlock();
        }
    }
}
