package dev.mdev.core.ledger;

import java.util.ArrayList;
import java.util.List;

/// A verb that began and has not ended.
///
/// @param op its number
/// @param verb what is to be done
/// @param subject to what
/// @param steps the steps that were done
public record Unfinished(long op, Verb verb, Subject subject, List<String> steps) {
    public Unfinished {
        steps = List.copyOf(steps);
    }

    Unfinished with(String step) {
        List<String> more = new ArrayList<>(steps);
        more.add(step);
        return new Unfinished(op, verb, subject, more);
    }
}
