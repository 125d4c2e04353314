package dev.mdev.host.label;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/// Selects by labels: `env=prod`, `env!=prod` (also without the label), `env` (with the label),
/// `!env` (without it). All conditions must hold.
public final class Selector implements Predicate<Metadata> {
    private final List<Predicate<Map<String, String>>> conditions = new ArrayList<>();

    private Selector() {}

    /// @param words the conditions; null for none
    /// @throws ProblemException if one cannot be read
    public static Selector of(@Nullable List<String> words) {
        Selector selector = new Selector();
        for (String word : words == null ? List.<String>of() : words) {
            selector.conditions.add(condition(word));
        }
        return selector;
    }

    private static Predicate<Map<String, String>> condition(String word) {
        int equals = word.indexOf('=');
        if (equals < 0) {
            boolean isWithout = word.startsWith("!");
            String key = key(isWithout ? word.substring(1) : word, word);
            return labels -> labels.containsKey(key) != isWithout;
        }
        boolean isOther = word.startsWith("!=", equals - 1);
        String key = key(word.substring(0, isOther ? equals - 1 : equals), word);
        String value = word.substring(equals + 1);
        if (!Metadata.isValue(value)) {
            throw malformed(word);
        }
        return labels -> value.equals(labels.get(key)) != isOther;
    }

    private static String key(String key, String word) {
        if (!Metadata.isKey(key)) {
            throw malformed(word);
        }
        return key;
    }

    private static ProblemException malformed(String word) {
        return new ProblemException(
                Problem.MALFORMED,
                "label=%s is none of KEY=VALUE, KEY!=VALUE, KEY and !KEY".formatted(word));
    }

    @Override
    public boolean test(Metadata metadata) {
        return conditions.stream().allMatch(it -> it.test(metadata.labels()));
    }
}
