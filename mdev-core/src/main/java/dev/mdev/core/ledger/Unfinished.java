package dev.mdev.core.ledger;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/// A verb that began and has not ended.
///
/// @param op its number
/// @param verb what is to be done
/// @param subject to what
/// @param steps the steps that were done
public record Unfinished(long op, Verb verb, Subject subject, List<String> steps) {
    /// The step after which the definition that the verb was to delete is gone: what is written
    /// down after that was written by another verb.
    public static final String UNDEFINED = "undefined";

    public Unfinished {
        steps = List.copyOf(steps);
    }

    /// The identity of the device that it is about.
    UUID uuid() {
        return subject.uuid();
    }

    /// This, with [#UNDEFINED] among its steps if it is one that deletes a definition.
    Unfinished undefined() {
        return switch (verb) {
            case CREATE_DEFINED, REMOVE, UNDEFINE ->
                    steps.contains(UNDEFINED) ? this : with(UNDEFINED);
            case CREATE, START, ADOPT, STOP, DEFINE, MOVE -> this;
        };
    }

    Unfinished with(String step) {
        List<String> more = new ArrayList<>(steps);
        more.add(step);
        return new Unfinished(op, verb, subject, more);
    }
}
