package dev.mdev.core.driver;

/// A call of driver code that is running, or work of the host's own before one.
///
/// @param callback the method's name, or what the host does, for messages
/// @param sinceNanos its start by [System#nanoTime]
public record RunningCall(String callback, long sinceNanos, Thread thread) {
    /// A call that begins now, on this thread.
    static RunningCall begin(String callback) {
        return new RunningCall(callback, System.nanoTime(), Thread.currentThread());
    }

    long ageNanos() {
        return System.nanoTime() - sinceNanos;
    }

    /// How long it has been running, and where, for messages.
    public String inWords() {
        return "for %d ms on thread %s"
                .formatted(ageNanos() / 1_000_000, DriverText.nameOf(thread));
    }

    CallReport report(String owner) {
        return new CallReport(owner, callback, ageNanos(), thread, false);
    }
}
