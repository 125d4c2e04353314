package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.time.Duration;

/// Settings of a [BarFileSystem].
///
/// @param refused what a client finds at a page that the driver refuses
/// @param answerWithin the maximum time in which a first access is answered. A driver that takes
///   longer counts as one that refuses
/// @param maxTouches the maximum number of first accesses of one file that wait for an answer, at
///   least 1. The next one fails: a client of one process with that many threads is no machine
/// @param maxCallers the maximum number of threads that ask the driver for one file, at least 1
/// @param readers threads that read requests of the kernel, at least 1
public record BarFileOptions(
        Refused refused, Duration answerWithin, int maxTouches, int maxCallers, int readers) {
    /// A page of ones for a refusal, 20 s, 1024 first accesses, 8 callers, 2 readers.
    public static final BarFileOptions DEFAULT =
            new BarFileOptions(Refused.ONES, Duration.ofSeconds(20), 1024, 8, 2);

    /// What a client finds at a page that it may not have.
    public enum Refused {
        /// A page of ones, as on a bus where nothing answers. Stores to it are lost.
        ONES,
        /// The access fails: a load or store gets SIGBUS, which ends most clients.
        ERROR
    }

    public BarFileOptions {
        if (answerWithin.isNegative()
                || answerWithin.isZero()
                || maxTouches < 1
                || maxCallers < 1
                || readers < 1) {
            throw new MdevException(
                    Errno.EINVAL,
                    "answerWithin=%s maxTouches=%d maxCallers=%d readers=%d"
                            .formatted(answerWithin, maxTouches, maxCallers, readers));
        }
    }

    /// The same with another answer to a refusal.
    public BarFileOptions withRefused(Refused other) {
        return new BarFileOptions(other, answerWithin, maxTouches, maxCallers, readers);
    }

    /// The same with another limit of time.
    public BarFileOptions withAnswerWithin(Duration other) {
        return new BarFileOptions(refused, other, maxTouches, maxCallers, readers);
    }
}
