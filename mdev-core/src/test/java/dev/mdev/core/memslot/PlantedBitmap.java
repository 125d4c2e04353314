package dev.mdev.core.memslot;

import java.util.concurrent.atomic.AtomicLong;

/// A bitmap of one word with a summary bit, after the protocol of [DirtyBitmap], in which one
/// mistake can be planted. It shows that a search for races would find it.
final class PlantedBitmap {
    enum Mistake {
        NONE,
        /// Reads the word and then zeroes it.
        CLEAR_IS_TWO_STEPS,
        /// Sets a bit by reading and writing the word.
        SET_IS_TWO_STEPS,
        /// Clears the summary after the word.
        SUMMARY_CLEARED_LAST,
        /// Sets the summary before the word.
        SUMMARY_SET_FIRST,
        /// Sets the summary only if the bit is new.
        SUMMARY_SET_BY_FIRST_SETTER_ONLY
    }

    private final Mistake mistake;
    private final AtomicLong word = new AtomicLong();
    private final AtomicLong summary = new AtomicLong();

    PlantedBitmap(Mistake mistake) {
        this.mistake = mistake;
    }

    void set(int page) {
        if (mistake == Mistake.SUMMARY_SET_FIRST) {
            flag();
        }
        long before = or(1L << page);
        boolean isNew = (before & 1L << page) == 0;
        if (mistake == Mistake.SUMMARY_SET_FIRST
                || (mistake == Mistake.SUMMARY_SET_BY_FIRST_SETTER_ONLY && !isNew)) {
            return;
        }
        flag();
    }

    private long or(long bit) {
        if (mistake == Mistake.SET_IS_TWO_STEPS) {
            long before = word.get();
            word.set(before | bit);
            return before;
        }
        while (true) {
            long before = word.get();
            if (word.compareAndSet(before, before | bit)) {
                return before;
            }
        }
    }

    private void flag() {
        if (summary.get() == 0) {
            summary.set(1);
        }
    }

    long harvest() {
        if (summary.get() == 0) {
            return 0;
        }
        if (mistake != Mistake.SUMMARY_CLEARED_LAST) {
            summary.set(0);
        }
        long bits = take();
        if (mistake == Mistake.SUMMARY_CLEARED_LAST) {
            summary.set(0);
        }
        return bits;
    }

    private long take() {
        if (mistake != Mistake.CLEAR_IS_TWO_STEPS) {
            return word.getAndSet(0);
        }
        long bits = word.get();
        word.set(0);
        return bits;
    }
}
