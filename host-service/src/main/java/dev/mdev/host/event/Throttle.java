package dev.mdev.host.event;

import java.util.concurrent.atomic.AtomicLong;

/// Lets one through a second, and counts the others.
final class Throttle {
    private static final long PAUSE_NANOS = 1_000_000_000;

    private final AtomicLong nextNanos = new AtomicLong(System.nanoTime());
    private final AtomicLong leftOut = new AtomicLong();

    /// @return how many were left out since the last that was let through, or -1 to leave this one
    ///   out as well
    long admit() {
        long nowNanos = System.nanoTime();
        long next = nextNanos.get();
        if (nowNanos - next >= 0 && nextNanos.compareAndSet(next, nowNanos + PAUSE_NANOS)) {
            return leftOut.getAndSet(0);
        }
        leftOut.incrementAndGet();
        return -1;
    }

    /// The number that was left out, for people.
    static String words(long leftOut) {
        return leftOut == 0 ? "" : " (" + leftOut + " more before this one)";
    }
}
