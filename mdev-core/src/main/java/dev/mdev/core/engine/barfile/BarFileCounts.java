package dev.mdev.core.engine.barfile;

/// What has happened at one file.
///
/// @param touches first accesses that asked the driver
/// @param pagesRead pages that clients got, including pages that the kernel dropped and read again
/// @param readsSplit reads of several pages that were refused, so that the kernel asks page by page
/// @param refused accesses that got no page, for any reason; the device's fault log has the answers
///   of its driver
/// @param timedOut of these: the driver did not answer in time
/// @param overflowed accesses that failed because too many waited
/// @param storesLost pages of stores to pages that were refused, or granted for loads only
/// @param lastRefusal why the last refused access was refused; empty if none was
public record BarFileCounts(
        long touches,
        long pagesRead,
        long readsSplit,
        long refused,
        long timedOut,
        long overflowed,
        long storesLost,
        String lastRefusal) {}
