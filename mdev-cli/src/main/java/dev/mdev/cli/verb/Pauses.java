package dev.mdev.cli.verb;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// The time between two questions to the service. The end of the process ends it.
final class Pauses implements AutoCloseable {
    private final CountDownLatch end = new CountDownLatch(1);
    private final OnInterrupt onInterrupt = OnInterrupt.run(end::countDown);

    /// Waits.
    ///
    /// @return whether to go on
    boolean pause(Duration time) {
        try {
            return !end.await(time.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Failure(ExitCode.FAILED, "interrupted");
        }
    }

    @Override
    public void close() {
        onInterrupt.close();
    }
}
