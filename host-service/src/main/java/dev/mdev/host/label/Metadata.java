package dev.mdev.host.label;

import dev.mdev.core.store.JournalLine;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/// What operators write beside a device or a machine, for themselves.
///
/// @param displayName a name for people; need not be unique
/// @param labels words for programs: to select by
public record Metadata(
        @Nullable String displayName,
        @Nullable String description,
        SortedMap<String, String> labels) {
    /// Nothing.
    public static final Metadata NONE = new Metadata(null, null, Collections.emptySortedMap());

    static final int MAX_LABELS = 64;
    static final int MAX_NAME = 128;
    static final int MAX_DESCRIPTION = 1024;

    /// The form of a label's key; its value may also be empty.
    private static final Pattern KEY =
            Pattern.compile("[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?");

    private static final Pattern CONTROL = Pattern.compile("\\p{Cntrl}|\\p{Cs}");
    private static final String KEY_PREFIX = "key";

    public Metadata {
        labels = Collections.unmodifiableSortedMap(new TreeMap<>(labels));
    }

    /// The values of a request.
    ///
    /// @throws ProblemException if one is invalid
    public static Metadata of(
            @Nullable String displayName,
            @Nullable String description,
            @Nullable Map<String, String> labels) {
        List<Violation> violations = new ArrayList<>();
        requireText(violations, "/displayName", displayName, MAX_NAME);
        requireText(violations, "/description", description, MAX_DESCRIPTION);
        Map<String, String> given = labels == null ? Map.of() : labels;
        if (given.size() > MAX_LABELS) {
            violations.add(new Violation("/labels", "at most " + MAX_LABELS));
        }
        given.forEach((key, value) -> {
            if (!isKey(key) || !isValue(value)) {
                violations.add(
                        new Violation(
                                "/labels/" + key.replace("~", "~0").replace("/", "~1"),
                                "letters, digits and . _ / - within, at most 63"));
            }
        });
        if (!violations.isEmpty()) {
            throw ProblemException.invalid(violations);
        }
        return new Metadata(displayName, description, new TreeMap<>(given));
    }

    private static void requireText(
            List<Violation> violations, String pointer, @Nullable String text, int longest) {
        if (text != null && (text.length() > longest || CONTROL.matcher(text).find())) {
            violations.add(
                    new Violation(pointer, "at most %d characters in one line".formatted(longest)));
        }
    }

    static boolean isKey(String text) {
        return KEY.matcher(text).matches();
    }

    static boolean isValue(@Nullable String text) {
        return text != null && (text.isEmpty() || isKey(text));
    }

    boolean isEmpty() {
        return equals(NONE);
    }

    JournalLine addTo(JournalLine line) {
        JournalLine with = displayName == null ? line : line.with("name", displayName);
        with = description == null ? with : with.with("description", description);
        int i = 0;
        for (Map.Entry<String, String> label : labels.entrySet()) {
            with = with.with(KEY_PREFIX + i, label.getKey()).with("value" + i, label.getValue());
            i++;
        }
        return with;
    }

    static Metadata of(JournalLine line) {
        SortedMap<String, String> labels = new TreeMap<>();
        for (int i = 0; line.values().containsKey(KEY_PREFIX + i); i++) {
            labels.put(line.get(KEY_PREFIX + i), line.get("value" + i));
        }
        return new Metadata(line.values().get("name"), line.values().get("description"), labels);
    }
}
