package dev.mdev.core.driver;

/// A slow or overdue callback of a driver.
///
/// @param owner the object of the callback: `mdev=...`, `parent=...`, `driver=...`, or `aperture of
///   parent=...`
/// @param callback the method's name
/// @param durationNanos its duration so far
/// @param thread the thread that made the call
/// @param finished whether it has returned; if not, it exceeds the deadline
public record CallReport(
        String owner, String callback, long durationNanos, Thread thread, boolean finished) {
    /// The name of the thread, cut to a bounded length.
    public String threadName() {
        return DriverText.nameOf(thread);
    }
}
