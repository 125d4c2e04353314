package dev.mdev.core.ledger;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/// A verb that began and has not ended.
///
/// @param op its number
/// @param verb the operation
/// @param subject the device
/// @param steps the completed steps
public record Unfinished(long op, Verb verb, Subject subject, List<String> steps) {
    /// The step after which the verb's definition is deleted: a later definition belongs to another
    /// verb.
    public static final String UNDEFINED = "undefined";

    public Unfinished {
        steps = List.copyOf(steps);
    }

    /// The identity of its device.
    UUID uuid() {
        return subject.uuid();
    }

    /// This, with [#UNDEFINED] among its steps if the verb deletes a definition.
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
