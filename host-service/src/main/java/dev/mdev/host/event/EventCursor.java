package dev.mdev.host.event;

import com.fasterxml.jackson.annotation.JsonValue;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A place in the log: `EPOCH:ID`, or the number alone for the present epoch.
///
/// @param epoch the epoch of the number; empty for the present one
/// @param id the number of the last event that the client knows; 0 for none
record EventCursor(String epoch, long id) {
    private static final Pattern FORM = Pattern.compile("(?:([0-9a-f]{16}):)?([0-9]{1,18})");

    /// @throws ProblemException if the text is no cursor
    static EventCursor parse(String text) {
        Matcher parts = FORM.matcher(text);
        if (!parts.matches()) {
            throw new ProblemException(
                    Problem.MALFORMED,
                    "a cursor is a number, or EPOCH:NUMBER as in an earlier answer");
        }
        String epoch = parts.group(1) == null ? "" : parts.group(1);
        return new EventCursor(epoch, Long.parseLong(parts.group(2)));
    }

    /// The same number of the present epoch.
    EventCursor here() {
        return new EventCursor("", id);
    }

    @Override
    @JsonValue
    public String toString() {
        return epoch.isEmpty() ? Long.toString(id) : epoch + ":" + id;
    }
}
