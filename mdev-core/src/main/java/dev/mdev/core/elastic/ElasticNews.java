package dev.mdev.core.elastic;

import java.util.UUID;

/// Receives what operators should know of a pool, on the thread that finds it, without a lock of
/// the pool. Told often: the receiver drops repetitions.
public interface ElasticNews {
    /// A driver refuses to give up any of the units that it was asked for.
    void refused(UUID device, String pool, String reason);

    /// The backing store cannot take or return a device's content.
    void storeFailed(UUID device, String pool, String reason);

    /// Most of what is written away comes back at once: the devices in use need more than the pool
    /// has.
    ///
    /// @param returned pages that came back within a second, of the last second's `evicted`
    void thrashing(String pool, long returned, long evicted);
}
