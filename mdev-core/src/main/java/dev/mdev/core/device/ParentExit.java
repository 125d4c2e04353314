package dev.mdev.core.device;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/// The one time that a parent is closed: begun by whoever finds that nothing of it is left.
public final class ParentExit {
    private final AtomicBoolean begun = new AtomicBoolean();
    private final CountDownLatch gone = new CountDownLatch(1);

    /// @return whether the caller is the one to close the parent
    public boolean begin() {
        return !begun.getAndSet(true);
    }

    /// After [#begin]: nobody closes it yet.
    public void cancel() {
        begun.set(false);
    }

    public void finish() {
        gone.countDown();
    }

    /// @return whether the parent is gone; false after `timeout`
    public boolean await(Duration timeout) throws InterruptedException {
        return gone.await(timeout.toNanos(), TimeUnit.NANOSECONDS);
    }
}
