package dev.mdev.host.access;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.LinkedHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/// How many requests each client may send: a bucket that holds the requests of two seconds, and is
/// filled all the time.
///
/// Any thread may call all methods. Lock: `lock`, a leaf.
final class Rates {
    /// The maximum number of clients that are remembered; the one that was away longest goes.
    private static final int MAX_CLIENTS = 4096;

    private static final int BURST_SECONDS = 2;

    private final double perSecond;
    private final LongSupplier nanoClock;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final LinkedHashMap<String, Bucket> buckets = new LinkedHashMap<>(16, 0.75f, true);

    /// @param nanoClock as [System#nanoTime]
    Rates(double perSecond, LongSupplier nanoClock) {
        this.perSecond = perSecond;
        this.nanoClock = nanoClock;
    }

    private record Bucket(double requests, long nanos) {}

    /// Takes a request out of a client's bucket.
    ///
    /// @return whether there was one
    boolean admit(String client) {
        long now = nanoClock.getAsLong();
        double most = perSecond * BURST_SECONDS;
        lock.lock();
        try {
            Bucket old = buckets.get(client);
            double filled =
                    old == null
                            ? most
                            : Math.min(
                                    most,
                                    old.requests
                                            + perSecond
                                                    * (now - old.nanos)
                                                    / TimeUnit.SECONDS.toNanos(1));
            boolean isAdmitted = filled >= 1;
            buckets.put(client, new Bucket(isAdmitted ? filled - 1 : filled, now));
            if (buckets.size() > MAX_CLIENTS) {
                buckets.pollFirstEntry();
            }
            return isAdmitted;
        } finally {
            lock.unlock();
        }
    }
}
