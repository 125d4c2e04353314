package dev.mdev.core.driver;

import java.util.concurrent.atomic.AtomicLong;

/// Lets one text per second through, and counts the others. Any thread may call it.
public final class Throttle {
    private static final long PAUSE_NANOS = 1_000_000_000;

    private final AtomicLong nextNanos = new AtomicLong(System.nanoTime());
    private final AtomicLong leftOut = new AtomicLong();

    /// @return the number suppressed since the last one let through, or -1 to suppress this one as
    ///   well
    public long admit() {
        long nowNanos = System.nanoTime();
        long next = nextNanos.get();
        if (nowNanos - next >= 0 && nextNanos.compareAndSet(next, nowNanos + PAUSE_NANOS)) {
            return leftOut.getAndSet(0);
        }
        leftOut.incrementAndGet();
        return -1;
    }

    /// The number of suppressed texts, as text.
    public static String words(long leftOut) {
        return leftOut == 0 ? "" : " (" + leftOut + " more before this one)";
    }
}
