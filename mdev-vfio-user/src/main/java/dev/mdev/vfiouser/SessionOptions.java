package dev.mdev.vfiouser;

import java.time.Duration;

/// How a device serves its clients.
///
/// @param limits what a client may map
/// @param spin how long to look for the next message before sleeping; it costs processor time, and
///   saves the wake-up
/// @param accessTimeout the maximum wait of one access for another on the same page
/// @param replyTimeout after this time a request that is not served gets an error: clients give a
///   connection up after five seconds
/// @param sendTimeout how long a client may read nothing of a reply; then its connection ends
/// @param dmaTimeout the maximum time of a read or write of a client's memory by a message
/// @param releaseGrace how long a client that listens to requests for the device may take to
///   disconnect
public record SessionOptions(
        DmaLimits limits,
        Duration spin,
        Duration accessTimeout,
        Duration replyTimeout,
        Duration sendTimeout,
        Duration dmaTimeout,
        Duration releaseGrace) {
    /// Suits QEMU with its default timeout.
    public static final SessionOptions DEFAULT =
            new SessionOptions(
                    DmaLimits.DEFAULT,
                    Duration.ofNanos(20_000),
                    Duration.ofSeconds(3),
                    Duration.ofSeconds(4),
                    Duration.ofSeconds(10),
                    Duration.ofSeconds(2),
                    Duration.ofSeconds(2));
}
