package dev.mdev.core.sync;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/// Sleepable read-copy-update: readers that may block, and a writer that waits for those that were
/// reading when it asked (Linux `kernel/rcu/srcutree.c`).
///
/// Use: a writer publishes a new version of something, then calls [#synchronize]. When that
/// returns, every read section that could have seen the old version has ended. Readers never wait.
///
/// ## Why it is right
///
/// There are two phases, and per phase a set of counters of read sections that began and of those
/// that ended. A reader takes the current phase and counts itself in; [#synchronize] flips the
/// phase and waits until the old phase's two sums are equal. The sum of the ended is read first: a
/// section that is still open then shows in the sum of the begun, whatever else happens in between.
/// A reader may read the phase, stall, and count itself into that phase only after a flip; it is
/// then waited for by the next flip of that phase. It cannot have seen the old version if that was
/// unpublished before it counted itself in, and if it counted itself in before, the sum shows it.
/// As a stalled reader can hit the phase that has just been drained, each synchronize drains both
/// phases, first the idle one, as the classic algorithm does.
///
/// Counters are striped by thread so that readers on different processors share no cache line. All
/// accesses are volatile: the sums need sequential consistency with the phase and with what the
/// writer published.
public final class Srcu {
    private static final VarHandle COUNTS = MethodHandles.arrayElementVarHandle(long[].class);

    private static final int STRIPES = 16;

    /// Longs between two stripes' counters: two cache lines, for adjacent-line prefetch.
    private static final int STRIDE = 16;

    private static final int SPINS = 200;
    private static final long PARK_NANOS = 20_000;

    /// Sections begun, by `(phase * STRIPES + stripe) * STRIDE`.
    private final long[] begun = new long[2 * STRIPES * STRIDE];

    /// Sections ended, likewise.
    private final long[] ended = new long[2 * STRIPES * STRIDE];

    /// Held by the one writer that flips.
    private final ReentrantLock writer = new ReentrantLock();

    private volatile int phase;

    /// Begins a read section.
    ///
    /// @return a token for [#readUnlock], which the same or another thread may call
    public int readLock() {
        int token = phase * STRIPES + stripe();
        COUNTS.getAndAdd(begun, token * STRIDE, 1L);
        return token;
    }

    /// Ends the read section that got `token`.
    public void readUnlock(int token) {
        COUNTS.getAndAdd(ended, token * STRIDE, 1L);
    }

    /// Waits until every read section that is open now has ended. Must not be called inside one.
    public void synchronize() {
        writer.lock();
        try {
            drain(phase ^ 1);
            int old = phase;
            phase = old ^ 1;
            drain(old);
        } finally {
            writer.unlock();
        }
    }

    private void drain(int drained) {
        for (int tries = 0; !isIdle(drained); tries++) {
            if (tries < SPINS) {
                Thread.onSpinWait();
            } else {
                // Readers do not signal: they would pay for it at every section. A reader may sleep
                // in a page fault for long, so this waits without burning its processor.
                LockSupport.parkNanos(this, PARK_NANOS);
            }
        }
    }

    private boolean isIdle(int asked) {
        long endedSum = sum(ended, asked);
        return endedSum == sum(begun, asked);
    }

    private static long sum(long[] counts, int phase) {
        long sum = 0;
        for (int stripe = 0; stripe < STRIPES; stripe++) {
            sum += (long) COUNTS.getVolatile(counts, (phase * STRIPES + stripe) * STRIDE);
        }
        return sum;
    }

    private static int stripe() {
        // Thread ids are small and dense; the multiplier spreads neighbours (Fibonacci hashing).
        return (int) ((Thread.currentThread().threadId() * 0x9E3779B97F4A7C15L) >>> 60);
    }
}
