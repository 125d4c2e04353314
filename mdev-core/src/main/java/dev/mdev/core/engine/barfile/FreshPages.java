package dev.mdev.core.engine.barfile;

import java.util.concurrent.TimeUnit;

/// The pages that a client has just waited for, and has not necessarily reached: the kernel wakes
/// the client, which then maps the page. It starts over if the page is gone by then. A driver that
/// revokes without a pause would keep it from its page for ever. So a revocation lets a fresh page
/// stay for a moment ([#STAY_NANOS]), in which the client runs.
///
/// The kernel does not say when a client maps a page. Guarded by the lock of [PageStates].
final class FreshPages {
    /// The time between an answer and the moment from which a revocation may take the page: many
    /// times what the kernel needs to wake a client and map a page.
    static final long STAY_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

    /// The most pages that are fresh at a time: more than a client has threads that fault at once.
    private static final int MOST = 64;

    private final long[] pages = new long[MOST];
    private final long[] untilNanos = new long[MOST];

    /// Pages that have been added, ever.
    private long added;

    /// Notes that an access to a page is answered.
    void add(long page, long nowNanos) {
        int index = (int) (added % MOST);
        pages[index] = page;
        untilNanos[index] = nowNanos + STAY_NANOS;
        added++;
    }

    /// How long a page of `[first, end)` stays, from `nowNanos` on.
    ///
    /// @return 0 if none is fresh; otherwise at most [#STAY_NANOS]
    long restNanos(long first, long end, long nowNanos) {
        long rest = 0;
        for (int i = 0; i < Math.min(added, MOST); i++) {
            if (pages[i] >= first && pages[i] < end) {
                rest = Math.max(rest, untilNanos[i] - nowNanos);
            }
        }
        return rest;
    }
}
