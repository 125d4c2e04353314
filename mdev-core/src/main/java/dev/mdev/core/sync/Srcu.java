package dev.mdev.core.sync;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/// Sleepable read-copy-update: readers may block, and a writer waits for all readers that were
/// active at its request (Linux `kernel/rcu/srcutree.c`).
///
/// Use: a writer publishes a new version of its data, then calls [#synchronize]. When that returns,
/// every read section that could have seen the old version has ended. Readers never wait.
///
/// ## Why it is right
///
/// There are two phases. Each phase has counters of read sections that began, and counters of read
/// sections that ended. A reader takes the current phase and counts itself in; [#synchronize] flips
/// the phase and waits until the old phase's two sums are equal. It reads the sum of the ended
/// sections first: a section that is still open then always shows in the sum of the begun sections.
/// A reader may read the phase, stall, and count itself into that phase only after a flip; the next
/// flip of that phase then waits for it. If the writer unpublished the old version before the
/// reader counted itself in, the reader cannot have seen it; if the reader counted itself in
/// before, the sum shows it. Because a stalled reader can hit the phase that has just been drained,
/// each synchronize drains both phases, first the idle one, as the classic algorithm does.
///
/// Counters are striped by thread so that readers on different processors share no cache line. All
/// accesses are volatile: the sums need sequential consistency with the phase and with what the
/// writer published.
public final class Srcu {
    private static final VarHandle COUNTS = MethodHandles.arrayElementVarHandle(long[].class);

    private static final int DEFAULT_STRIPES = 16;

    /// Longs between two stripes' counters: two cache lines, for adjacent-line prefetch.
    private static final int STRIDE = 16;

    private static final int SPINS = 200;
    private static final long PARK_NANOS = 20_000;

    private final int stripes;

    /// Sections begun, by `(phase * stripes + stripe) * STRIDE`.
    private final long[] begun;

    /// Sections ended, likewise.
    private final long[] ended;

    /// Held by the one writer that flips phases.
    private final ReentrantLock writer = new ReentrantLock();

    private volatile int phase;

    public Srcu() {
        this(DEFAULT_STRIPES);
    }

    /// @param stripes a power of two
    Srcu(int stripes) {
        this.stripes = stripes;
        begun = new long[2 * stripes * STRIDE];
        ended = new long[2 * stripes * STRIDE];
    }

    /// Begins a read section.
    ///
    /// @return a token for [#readUnlock], which the same or another thread may call
    public int readLock() {
        int token = phase * stripes + stripe();
        COUNTS.getAndAdd(begun, token * STRIDE, 1L);
        return token;
    }

    /// Ends the read section that got `token`.
    public void readUnlock(int token) {
        COUNTS.getAndAdd(ended, token * STRIDE, 1L);
    }

    /// Waits until every read section that is open now has ended. Must not be called inside a read
    /// section.
    public void synchronize() {
        trySynchronize(Long.MAX_VALUE);
    }

    /// As [#synchronize], but gives up on a phase after `maxLooks` checks: a search of
    /// interleavings cannot follow a thread that waits in a loop.
    ///
    /// @return false if it gave up: sections may still be open
    boolean trySynchronize(long maxLooks) {
        writer.lock();
        try {
            if (!drain(phase ^ 1, maxLooks)) {
                return false;
            }
            int old = phase;
            phase = old ^ 1;
            return drain(old, maxLooks);
        } finally {
            writer.unlock();
        }
    }

    private boolean drain(int drained, long maxLooks) {
        for (long looks = 0; looks < maxLooks; looks++) {
            if (isIdle(drained)) {
                return true;
            }
            if (looks < SPINS) {
                Thread.onSpinWait();
            } else {
                // Readers send no signal, because every section would pay for it. A reader may
                // sleep in a page fault for long, so this waits without burning its processor.
                LockSupport.parkNanos(this, PARK_NANOS);
            }
        }
        return false;
    }

    private boolean isIdle(int asked) {
        long endedSum = sum(ended, asked);
        return endedSum == sum(begun, asked);
    }

    private long sum(long[] counts, int phase) {
        long sum = 0;
        for (int stripe = 0; stripe < stripes; stripe++) {
            sum += (long) COUNTS.getVolatile(counts, (phase * stripes + stripe) * STRIDE);
        }
        return sum;
    }

    private int stripe() {
        // Thread ids are small and dense; the multiplier spreads neighbours (Fibonacci hashing).
        return (int) ((Thread.currentThread().threadId() * 0x9E3779B97F4A7C15L) >>> 32)
                & (stripes - 1);
    }
}
