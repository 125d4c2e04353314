package dev.mdev.core.engine.kvm;

import java.util.ArrayDeque;

/// What the kernel and the model did last, and whether they still agree.
final class Agreement {
    private static final int HISTORY = Integer.getInteger("mdev.kvm.history", 40);

    private final ArrayDeque<String> history = new ArrayDeque<>();

    /// Tells what was done, for the message of a later failure.
    void note(String what) {
        history.add(what);
        if (history.size() > HISTORY) {
            history.removeFirst();
        }
    }

    /// Fails if the model's answer is another one.
    void check(String what, Object ours, Object theirs) {
        note(what + " -> " + theirs);
        if (!ours.equals(theirs)) {
            throw new AssertionError(
                    "%s: ours=%s kernel=%s after%n%s"
                            .formatted(
                                    what,
                                    ours,
                                    theirs,
                                    String.join(System.lineSeparator(), history)));
        }
    }
}
