package dev.mdev.core.mapping;

import java.util.concurrent.atomic.AtomicLongArray;

/// A set of a region's pages that any thread may read and write without a lock.
final class PageSet {
    private final AtomicLongArray words;

    PageSet(long npages) {
        words = new AtomicLongArray(Math.toIntExact((npages + 63) >> 6));
    }

    boolean contains(long page) {
        return (words.get((int) (page >> 6)) & (1L << page)) != 0;
    }

    void add(long page) {
        words.accumulateAndGet((int) (page >> 6), 1L << page, (bits, bit) -> bits | bit);
    }
}
