package dev.mdev.host.event;

import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Predicate;

/// Which events a client wants.
///
/// @param kinds the kinds; all if empty
/// @param subject the subject, or the beginning of it up to a slash, such as `mdevs/`; null for all
record EventFilter(Set<Event.Kind> kinds, @Nullable String subject) implements Predicate<Event> {
    /// @param words kinds in lower case; null for all
    /// @throws ProblemException if there is no such kind
    static EventFilter of(@Nullable List<String> words, @Nullable String subject) {
        Set<Event.Kind> kinds = EnumSet.noneOf(Event.Kind.class);
        for (String word : words == null ? List.<String>of() : words) {
            kinds.add(
                    Arrays.stream(Event.Kind.values())
                            .filter(kind -> kind.name().toLowerCase(Locale.ROOT).equals(word))
                            .findFirst()
                            .orElseThrow(() ->
                                    ProblemException.invalid(
                                            List.of(
                                                    new Violation(
                                                            "", "there is no kind=" + word)))));
        }
        return new EventFilter(kinds, subject);
    }

    @Override
    public boolean test(Event event) {
        return (kinds.isEmpty() || kinds.contains(event.kind()))
                && (subject == null
                        || event.subject().equals(subject)
                        || (subject.endsWith("/") && event.subject().startsWith(subject)));
    }
}
