package dev.mdev.core.elastic;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/// What happened in a pool, and whether it thrashes. Any thread.
public final class ElasticCounters {
    private static final long WINDOW_NANOS = TimeUnit.SECONDS.toNanos(1);

    /// Fewer evicted pages a second are no trouble, whatever comes back.
    private static final long MIN_EVICTED = 256;

    private final String pool;
    private final ElasticNews news;
    private final LongAdder evicted = new LongAdder();
    private final LongAdder returned = new LongAdder();
    private final LongAdder returnedSoon = new LongAdder();
    private final LongAdder refused = new LongAdder();
    private final LongAdder storeFailures = new LongAdder();

    private final AtomicLong windowStartNanos = new AtomicLong(System.nanoTime());
    private final AtomicLong windowEvicted = new AtomicLong();
    private final AtomicLong windowReturned = new AtomicLong();

    ElasticCounters(String pool, ElasticNews news) {
        this.pool = pool;
        this.news = news;
    }

    void evicted(long npages) {
        evicted.add(npages);
    }

    void refused(long npages) {
        refused.add(npages);
    }

    void storeFailed() {
        storeFailures.increment();
    }

    /// @param awayNanos how long the pages were away
    void returned(long npages, long awayNanos) {
        returned.add(npages);
        if (awayNanos < WINDOW_NANOS) {
            returnedSoon.add(npages);
        }
    }

    /// Tells of thrashing, once a second at most. Without a lock.
    void tell() {
        long now = System.nanoTime();
        long start = windowStartNanos.get();
        if (now - start < WINDOW_NANOS || !windowStartNanos.compareAndSet(start, now)) {
            return;
        }
        long out = evictedPages() - windowEvicted.getAndSet(evictedPages());
        long back = returnedSoonPages() - windowReturned.getAndSet(returnedSoonPages());
        // Only of about one second: what happened before a pause says nothing.
        if (now - start < 2 * WINDOW_NANOS && out >= MIN_EVICTED && 2 * back >= out) {
            news.thrashing(pool, back, out);
        }
    }

    /// Pages that were taken away.
    public long evictedPages() {
        return evicted.sum();
    }

    /// Pages that came back.
    public long returnedPages() {
        return returned.sum();
    }

    /// Those of them that were away for less than a second.
    public long returnedSoonPages() {
        return returnedSoon.sum();
    }

    /// Pages that drivers refused to give up.
    public long refusedPages() {
        return refused.sum();
    }

    /// How often the backing store took or returned no content.
    public long storeFailures() {
        return storeFailures.sum();
    }
}
