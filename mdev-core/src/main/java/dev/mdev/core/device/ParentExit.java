package dev.mdev.core.device;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/// The one close of a parent: begun by the thread that finds it empty.
public final class ParentExit {
    private final AtomicBoolean begun = new AtomicBoolean();
    private final CountDownLatch gone = new CountDownLatch(1);

    /// @return whether the caller must close the parent
    public boolean begin() {
        return !begun.getAndSet(true);
    }

    /// After [#begin]: the close has not begun.
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
