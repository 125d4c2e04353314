package dev.mdev.core.driver;

import dev.mdev.api.ReportLevel;
import dev.mdev.api.Reporter;

import java.util.Objects;

/// Passes on what a driver tells of one device: one line per second, of bounded length. Any thread
/// may call it.
public final class ThrottledReporter implements Reporter {
    private final Throttle throttle = new Throttle();
    private final Reporter next;

    public ThrottledReporter(Reporter next) {
        this.next = next;
    }

    @Override
    public void report(ReportLevel level, String text) {
        Objects.requireNonNull(level);
        long leftOut = throttle.admit();
        if (leftOut >= 0) {
            String line = DriverText.cut(text).replaceAll("\\p{Cntrl}", " ");
            next.report(level, line + Throttle.words(leftOut));
        }
    }
}
