package dev.mdev.api;

/// Tells the operator of troubles with one device that no exception tells of, such as a thread of
/// the driver that cannot go on. What a guest can cause at will is no trouble.
@FunctionalInterface
public interface Reporter {
    /// Tells of a trouble.
    ///
    /// The host records at most one text per second and device, with the number of the others, and
    /// the first 1000 characters of it. Any thread may call this; it does not block.
    ///
    /// @param level how bad it is
    /// @param text one line
    void report(ReportLevel level, String text);
}
