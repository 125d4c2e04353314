package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.barfile.BarFileOptions.Refused;
import dev.mdev.core.sys.FuseAbi.OutHeader;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The reads of one file that wait for an answer: first accesses, and reads of held pages. Guarded
/// by the lock of [PageStates].
final class Waiting {
    private final FuseConnection connection;
    private final BarFileOptions options;
    private final Map<Long, Touch> touches = new HashMap<>();
    private final Map<Long, List<Long>> parked = new HashMap<>();

    /// Requests in both.
    private int count;

    Waiting(FuseConnection connection, BarFileOptions options) {
        this.connection = connection;
        this.options = options;
    }

    /// Whether a refused page reads as ones.
    boolean refusesWithOnes() {
        return options.refused() == Refused.ONES;
    }

    /// Lets a read wait for the driver.
    ClientPages.Found touch(long page, long unique) {
        if (count >= options.maxTouches()) {
            return ClientPages.Found.BUSY;
        }
        count++;
        Touch touch = touches.get(page);
        if (touch != null) {
            touch.uniques.add(unique);
            return ClientPages.Found.WAITS;
        }
        long deadline = System.nanoTime() + options.answerWithin().toNanos();
        touches.put(page, new Touch(page, unique, deadline));
        return ClientPages.Found.ASK;
    }

    boolean hasTouch(long page) {
        return touches.containsKey(page);
    }

    /// Lets a read wait for the end of a hold.
    ///
    /// @return false if too many wait
    boolean park(long page, long unique) {
        if (count >= options.maxTouches()) {
            return false;
        }
        count++;
        parked.computeIfAbsent(page, _ -> new ArrayList<>()).add(unique);
        return true;
    }

    /// Takes the reads that wait for the driver.
    ///
    /// @return their requests
    List<Long> takeTouch(long page) {
        Touch touch = touches.remove(page);
        if (touch == null) {
            return List.of();
        }
        count -= touch.uniques.size();
        return touch.uniques;
    }

    /// Takes the reads that wait for the end of a hold.
    ///
    /// @return their requests
    List<Long> takeParked(long page) {
        List<Long> uniques = parked.isEmpty() ? null : parked.remove(page);
        if (uniques == null) {
            return List.of();
        }
        count -= uniques.size();
        return uniques;
    }

    /// Prepares one answer to some requests.
    ///
    /// @return room for the page
    MemorySegment answer(List<Long> uniques, Answers answers) {
        return answers.add(connection, uniques);
    }

    /// Takes the reads that wait for the driver, to be refused.
    ///
    /// @return whether there were any
    boolean refuse(long page, Answers answers) {
        if (!refusesWithOnes()) {
            return fail(page, Errno.EIO, answers);
        }
        List<Long> uniques = takeTouch(page);
        if (!uniques.isEmpty()) {
            answer(uniques, answers).fill((byte) -1);
        }
        return !uniques.isEmpty();
    }

    /// Takes the reads that wait for the driver, to be failed.
    ///
    /// @return whether there were any
    boolean fail(long page, Errno errno, Answers answers) {
        List<Long> uniques = takeTouch(page);
        answers.addFailures(connection, uniques, errno);
        return !uniques.isEmpty();
    }

    /// The pages of first accesses that wait for too long.
    List<Long> overdue(long nowNanos) {
        return touches.values().stream()
                .filter(touch -> touch.deadlineNanos - nowNanos <= 0)
                .map(touch -> touch.page)
                .toList();
    }

    /// The pages of all first accesses.
    List<Long> touched() {
        return List.copyOf(touches.keySet());
    }

    /// Answers that are made under the lock, and sent without it.
    static final class Answers {
        private final List<Runnable> ready = new ArrayList<>(1);
        private final List<Long> pages = new ArrayList<>(1);

        private MemorySegment add(FuseConnection connection, List<Long> uniques) {
            MemorySegment message = Arena.ofAuto().allocate(OutHeader.SIZE + Page.SIZE, Long.BYTES);
            for (long unique : uniques) {
                ready.add(() -> connection.answer(unique, message, Page.SIZE));
            }
            return message.asSlice(OutHeader.SIZE, Page.SIZE);
        }

        private void addFailures(FuseConnection connection, List<Long> uniques, Errno errno) {
            for (long unique : uniques) {
                ready.add(() -> connection.fail(unique, errno));
            }
        }

        /// Notes that a page is answered.
        void note(long page) {
            pages.add(page);
        }

        /// The pages that were noted.
        List<Long> pages() {
            return pages;
        }

        void send() {
            ready.forEach(Runnable::run);
        }
    }
}
