package dev.mdev.core.driver;

/// A callback of a driver that takes long.
///
/// @param owner whose callback: `mdev=...`, `parent=...`, `driver=...`, or `aperture of parent=...`
/// @param callback the method's name
/// @param durationNanos how long it took, or has been running
/// @param thread the name of the thread that made the call
/// @param finished whether it is over; if not, it has been running for longer than the deadline
public record CallReport(
        String owner, String callback, long durationNanos, String thread, boolean finished) {}
