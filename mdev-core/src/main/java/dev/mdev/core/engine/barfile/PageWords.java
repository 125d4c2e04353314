package dev.mdev.core.engine.barfile;

import org.jspecify.annotations.Nullable;

/// The state of each page of a file, in one word: the pfn of its own memory above the flags. Not
/// for concurrent use.
final class PageWords {
    /// Nothing is granted.
    static final int ABSENT = 0;

    /// Granted.
    static final int GRANTED = 1;

    /// On its way out of the kernel's page cache. Reads get what it has, and count.
    static final int EVICTING = 2;

    /// Kept from clients while the host uses its own memory. Reads wait.
    static final int HELD = 3;

    /// Refused: clients have a page of ones.
    static final int DENIED = 4;

    static final long WRITABLE = 8;

    /// The kernel got the page's content since it was last dropped.
    static final long CACHED = 16;

    private static final int STATE = 7;
    private static final int PFN_SHIFT = 8;
    private static final int LEAF_SHIFT = 9;
    private static final int LEAF_SIZE = 1 << LEAF_SHIFT;

    private final long[] @Nullable [] leaves;

    PageWords(long npages) {
        leaves = new long[Math.toIntExact((npages + LEAF_SIZE - 1) >> LEAF_SHIFT)][];
    }

    long get(long page) {
        long[] leaf = leaves[(int) (page >>> LEAF_SHIFT)];
        return leaf == null ? ABSENT : leaf[(int) page & (LEAF_SIZE - 1)];
    }

    void set(long page, long word) {
        int index = (int) (page >>> LEAF_SHIFT);
        long[] leaf = leaves[index];
        if (leaf == null) {
            if (word == ABSENT) {
                return;
            }
            leaf = new long[LEAF_SIZE];
            leaves[index] = leaf;
        }
        leaf[(int) page & (LEAF_SIZE - 1)] = word;
    }

    static int state(long word) {
        return (int) word & STATE;
    }

    /// Whether it is neither evicted nor held.
    static boolean isSettled(long word) {
        return state(word) != EVICTING && state(word) != HELD;
    }

    static boolean has(long word, long flag) {
        return (word & flag) != 0;
    }

    static long withState(long word, int state) {
        return (word & ~STATE) | state;
    }

    /// A granted page.
    static long granted(long pfn, boolean writable) {
        return pfn << PFN_SHIFT | (writable ? WRITABLE : 0) | GRANTED;
    }

    /// The page's own memory; 0 if it has none.
    static long pfn(long word) {
        return word >>> PFN_SHIFT;
    }
}
