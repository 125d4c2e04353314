package dev.mdev.core.engine.barfile;

import java.util.concurrent.locks.LockSupport;

/// The time in which pages stay. A test has one of its own.
interface Ticker {
    /// The time of this machine.
    Ticker SYSTEM =
            new Ticker() {
                @Override
                public long nanoTime() {
                    return System.nanoTime();
                }

                @Override
                public void sleep(long nanos) {
                    long start = System.nanoTime();
                    boolean interrupted = false;
                    for (long left = nanos; left > 0; left = nanos - (System.nanoTime() - start)) {
                        LockSupport.parkNanos(this, left);
                        interrupted |= Thread.interrupted();
                    }
                    if (interrupted) {
                        Thread.currentThread().interrupt();
                    }
                }
            };

    /// As [System#nanoTime].
    long nanoTime();

    /// Waits, also if the thread is interrupted.
    void sleep(long nanos);
}
