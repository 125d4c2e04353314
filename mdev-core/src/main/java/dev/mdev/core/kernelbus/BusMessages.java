package dev.mdev.core.kernelbus;

import dev.mdev.api.MdevException;

import java.time.Duration;

/// What the kernel tells of its mdev bus as it happens. One thread waits; any may close.
interface BusMessages extends AutoCloseable {
    /// Waits until the bus changed, or may have changed because messages were lost.
    ///
    /// @param atMost how long to wait; zero for no limit
    /// @return false if it did not, or after [#close]
    /// @throws MdevException if nothing can be heard any more
    boolean await(Duration atMost);

    /// Ends the wait, and all later ones.
    @Override
    void close();
}
