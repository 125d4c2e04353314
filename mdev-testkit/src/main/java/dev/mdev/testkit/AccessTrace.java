package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A guest's accesses with their results, in order: recorded on one device, replayed on another.
///
/// The text form has one access per line, so that a trace that once broke a driver can be kept with
/// its tests:
///
///     load  2 0x800 4 = 0x5047444d
///     store 2 0x808 4 0x1234 = done
///     load  0 0x1000000 4 = failed
///
/// Any threads may record; the order is then the order in which accesses ended.
public final class AccessTrace {
    private static final Pattern LINE =
            Pattern.compile(
                    "(load|store)\\s+(\\d+) 0x([0-9a-f]+) ([1248])(?: 0x([0-9a-f]+))?"
                            + " = (?:0x([0-9a-f]+)|(done)|(failed))");

    /// One access.
    ///
    /// @param store whether it is a store
    /// @param value the stored value; 0 for a load
    /// @param failed whether the guest saw it fail
    /// @param loaded the loaded value, 0 if it failed; 0 for a store
    public record Step(
            boolean store,
            int region,
            long offsetBytes,
            int widthBytes,
            long value,
            boolean failed,
            long loaded) {
        @Override
        public String toString() {
            String result = "failed";
            if (!failed) {
                result = store ? "done" : "0x%x".formatted(loaded);
            }
            return store
                    ? "store %d 0x%x %d 0x%x = %s"
                            .formatted(region, offsetBytes, widthBytes, value, result)
                    : "load  %d 0x%x %d = %s".formatted(region, offsetBytes, widthBytes, result);
        }
    }

    @GuardedBy("this")
    private final List<Step> steps = new ArrayList<>();

    /// The accesses so far.
    public synchronized List<Step> steps() {
        return List.copyOf(steps);
    }

    /// Repeats the accesses on another guest's device.
    ///
    /// @return the first access with a different result, as text; empty if all were the same
    public List<String> replay(SimulatedGuest guest) {
        for (Step step : steps()) {
            AccessResult result =
                    step.store()
                            ? guest.tryStore(
                                    step.region(),
                                    step.offsetBytes(),
                                    step.widthBytes(),
                                    step.value())
                            : guest.tryLoad(step.region(), step.offsetBytes(), step.widthBytes());
            Step now = withResult(step, result);
            if (!now.equals(step)) {
                return List.of("recorded: " + step, "replayed: " + now);
            }
        }
        return List.of();
    }

    /// The text form.
    public String toText() {
        StringBuilder text = new StringBuilder();
        steps().forEach(step -> text.append(step).append('\n'));
        return text.toString();
    }

    /// Reads the text form; empty lines and lines that begin with `#` are skipped.
    ///
    /// @throws IllegalArgumentException if a line is malformed
    public static AccessTrace parse(String text) {
        AccessTrace trace = new AccessTrace();
        text.lines()
                .filter(line -> !line.isBlank() && !line.startsWith("#"))
                .forEach(line -> trace.add(parseLine(line)));
        return trace;
    }

    private static Step parseLine(String line) {
        Matcher m = LINE.matcher(line);
        if (!m.matches()) {
            throw new IllegalArgumentException("not a step of a trace: " + line);
        }
        return new Step(
                m.group(1).equals("store"),
                Integer.parseInt(m.group(2)),
                Long.parseUnsignedLong(m.group(3), 16),
                Integer.parseInt(m.group(4)),
                m.group(5) == null ? 0 : Long.parseUnsignedLong(m.group(5), 16),
                m.group(8) != null,
                m.group(6) == null ? 0 : Long.parseUnsignedLong(m.group(6), 16));
    }

    synchronized void add(Step step) {
        steps.add(step);
    }

    static Step withResult(Step step, AccessResult result) {
        return switch (result) {
            case AccessResult.Done(long value) -> finished(step, false, value);
            case AccessResult.Failed _ -> finished(step, true, 0);
        };
    }

    private static Step finished(Step step, boolean failed, long loaded) {
        return new Step(
                step.store(),
                step.region(),
                step.offsetBytes(),
                step.widthBytes(),
                step.value(),
                failed,
                loaded);
    }
}
