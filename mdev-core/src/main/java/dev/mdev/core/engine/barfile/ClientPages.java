package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.barfile.PageWords.EVICTING;
import static dev.mdev.core.engine.barfile.PageWords.GRANTED;
import static dev.mdev.core.engine.barfile.PageWords.WRITABLE;
import static dev.mdev.core.engine.barfile.PageWords.has;
import static dev.mdev.core.engine.barfile.PageWords.state;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.page.Page;

import java.lang.foreign.MemorySegment;

/// The pages of one file as the kernel reads and writes them for clients. For the readers of
/// [FuseConnection]: nothing here waits.
final class ClientPages {
    private final PageStates states;
    private final BarCounters counters;

    ClientPages(PageStates states, BarCounters counters) {
        this.states = states;
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
        states.lock.lock();
        try {
            Waiting waiting = states.waitingLocked();
            return switch (state(states.getLocked(page))) {
                case GRANTED, EVICTING, PageWords.DENIED -> {
                    states.copyLocked(page, 0, into);
                    states.cachedLocked(page);
                    yield Found.CONTENT;
                }
                case PageWords.HELD -> waiting.park(page, unique) ? Found.WAITS : Found.BUSY;
                default -> isHost ? Found.REFUSED : touchLocked(page, unique, into);
            };
        } finally {
            states.lock.unlock();
        }
    }

    @GuardedBy("states.lock")
    private Found touchLocked(long page, long unique, MemorySegment into) {
        if (!states.isClosedLocked()) {
            Found found = states.waitingLocked().touch(page, unique);
            if (found == Found.ASK) {
                states.freshLocked().asked(page, states.ticker().nanoTime());
            }
            return found;
        }
        if (!states.waitingLocked().refusesWithOnes()) {
            return Found.REFUSED;
        }
        into.fill((byte) -1);
        return Found.CONTENT;
    }

    /// Looks up a read of several pages, or of parts of pages: all must be granted. Such a read
    /// does not say which page was touched, and the kernel asks again for that page alone.
    Found readMany(long offsetBytes, MemorySegment into) {
        states.lock.lock();
        try {
            if (!areAllLocked(offsetBytes, into.byteSize(), 0)) {
                return Found.REFUSED;
            }
            for (PagePart part : PagePart.of(offsetBytes, into)) {
                states.copyLocked(part.page(), part.offsetInPage(), part.buffer());
                states.cachedLocked(part.page());
            }
            return Found.CONTENT;
        } finally {
            states.lock.unlock();
        }
    }

    /// Whether all pages of a range are granted, and have a flag.
    @GuardedBy("states.lock")
    private boolean areAllLocked(long offsetBytes, long lengthBytes, long flag) {
        long end = Page.numberOf(offsetBytes + lengthBytes - 1) + 1;
        for (long page = Page.numberOf(offsetBytes); page < end; page++) {
            long word = states.getLocked(page);
            if (state(word) != GRANTED || (word & flag) != flag) {
                return false;
            }
        }
        return true;
    }

    /// Takes what clients wrote into pages that were granted writable; other stores are lost.
    void writtenBack(long offsetBytes, MemorySegment data) {
        PagePart.of(offsetBytes, data).forEach(this::pageWrittenBack);
    }

    private void pageWrittenBack(PagePart part) {
        states.lock.lock();
        try {
            long word = states.getLocked(part.page());
            if (has(word, WRITABLE) && (state(word) == GRANTED || state(word) == EVICTING)) {
                states.storeLocked(part.page(), part.offsetInPage(), part.buffer());
                states.freshLocked().reached(part.page());
            } else {
                counters.storesLost();
            }
        } finally {
            states.lock.unlock();
        }
    }

    /// A client's `write(2)`: all its pages must be granted, and writable.
    ///
    /// @return whether they are
    boolean write(long offsetBytes, MemorySegment data) {
        states.lock.lock();
        try {
            if (!areAllLocked(offsetBytes, data.byteSize(), WRITABLE)) {
                return false;
            }
            for (PagePart part : PagePart.of(offsetBytes, data)) {
                states.storeLocked(part.page(), part.offsetInPage(), part.buffer());
                states.cachedLocked(part.page());
            }
            return true;
        } finally {
            states.lock.unlock();
        }
    }
}
