package dev.mdev.core.memslot;

import java.util.concurrent.atomic.AtomicLong;

/// A bitmap of one word, after the protocol of [DirtyBitmap], in which one mistake can be planted.
/// It shows that a search for races would find it.
final class PlantedBitmap {
    enum Mistake {
        NONE,
        /// Sets a bit by reading and writing the word.
        SET_IS_TWO_STEPS,
        /// Does not look whether the half is still live after setting the bit.
        LOOKS_ONCE,
        /// Makes a half live again as the same object.
        REUSES_HALVES,
        /// Reads the live half, and then exchanges it.
        READS_BEFORE_THE_EXCHANGE,
        /// Sets the summary only if the bit is new.
        SUMMARY_SET_BY_FIRST_SETTER_ONLY
    }

    /// Where another thread may come in between.
    enum Place {
        /// A setter knows the live half.
        LIVE_LOADED,
        /// A setter has set bit and summary.
        BIT_SET,
        /// A harvester has read the word, and not zeroed it.
        WORD_READ
    }

    /// Receives places, and may wait there.
    @FunctionalInterface
    interface Script {
        void at(Place place);
    }

    private static final class Half {
        final AtomicLong word;
        final AtomicLong summary;

        Half(AtomicLong word, AtomicLong summary) {
            this.word = word;
            this.summary = summary;
        }
    }

    private final Mistake mistake;
    private volatile Half live = new Half(new AtomicLong(), new AtomicLong());
    private Half other = new Half(new AtomicLong(), new AtomicLong());

    private final Script script;

    PlantedBitmap(Mistake mistake) {
        this(mistake, _ -> {});
    }

    PlantedBitmap(Mistake mistake, Script script) {
        this.mistake = mistake;
        this.script = script;
    }

    void set(int page) {
        long bit = 1L << page;
        Half half;
        do {
            half = live;
            script.at(Place.LIVE_LOADED);
            boolean isNew = (or(half.word, bit) & bit) == 0;
            if (isNew || mistake != Mistake.SUMMARY_SET_BY_FIRST_SETTER_ONLY) {
                flag(half);
            }
            script.at(Place.BIT_SET);
        } while (mistake != Mistake.LOOKS_ONCE && live != half);
    }

    private long or(AtomicLong word, long bit) {
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

    private static void flag(Half half) {
        if (half.summary.get() == 0) {
            half.summary.set(1);
        }
    }

    long harvest() {
        Half taken = live;
        if (taken.summary.get() == 0) {
            return 0;
        }
        long early = taken.word.get();
        live = mistake == Mistake.REUSES_HALVES ? other : new Half(other.word, other.summary);
        other = taken;
        taken.summary.set(0);
        long bits = mistake == Mistake.READS_BEFORE_THE_EXCHANGE ? early : taken.word.get();
        script.at(Place.WORD_READ);
        taken.word.set(0);
        return bits;
    }
}
