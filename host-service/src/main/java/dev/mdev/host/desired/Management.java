package dev.mdev.host.desired;

import dev.mdev.host.access.Subject;
import dev.mdev.host.label.Labels;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.springframework.stereotype.Component;

import java.util.SortedMap;
import java.util.TreeMap;

/// Which document manages what: a label says it.
///
/// Any thread may call all methods.
@Component
final class Management {
    /// The label; its value is the manager of a document.
    static final String LABEL = "managed-by";

    private final Labels labels;

    Management(Labels labels) {
        this.labels = labels;
    }

    boolean isManaged(String manager, Subject subject) {
        return manager.equals(labels.of(subject).labels().get(LABEL));
    }

    /// Refuses a thing that is no longer managed: somebody took the label away.
    ///
    /// @throws ProblemException if so
    void requireManaged(String manager, Subject subject) {
        if (!isManaged(manager, subject)) {
            throw new ProblemException(
                    Problem.CHANGED, "%s is not %s=%s any more".formatted(subject, LABEL, manager));
        }
    }

    /// What is written beside a new thing.
    static Metadata ofNew(String manager, Metadata asked) {
        return merged(manager, Metadata.NONE, asked);
    }

    /// Whether what is written beside a thing is what a document says.
    ///
    /// @throws ProblemException if another document manages it
    boolean isAsSaid(String manager, Subject subject, Metadata asked) {
        Metadata there = labels.of(subject);
        return there.equals(merged(manager, there, asked));
    }

    /// Writes beside a thing what a document says.
    ///
    /// @throws ProblemException if another document manages it
    /// @throws dev.mdev.api.MdevException the files' error; nothing changes then
    void set(String manager, Subject subject, Metadata asked) {
        labels.change(subject, there -> merged(manager, there, asked));
    }

    /// What a document says, beside what others wrote.
    private static Metadata merged(String manager, Metadata there, Metadata asked) {
        String before = there.labels().getOrDefault(LABEL, manager);
        if (!before.equals(manager)) {
            throw new ProblemException(
                    Problem.EXISTS,
                    "another document says what it is: %s=%s".formatted(LABEL, before));
        }
        SortedMap<String, String> all = new TreeMap<>(there.labels());
        all.putAll(asked.labels());
        all.put(LABEL, manager);
        return Metadata.of(
                asked.displayName() == null ? there.displayName() : asked.displayName(),
                asked.description() == null ? there.description() : asked.description(),
                all);
    }
}
