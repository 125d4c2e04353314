package dev.mdev.host.label;

import com.fasterxml.jackson.annotation.JsonCreator;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.jspecify.annotations.Nullable;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/// A change of what is written beside something, as a JSON merge patch (RFC 7396): an absent member
/// stays, and `null` removes it.
public record MergePatch(ObjectNode json) {
    /// The media type.
    public static final String TYPE = "application/merge-patch+json";

    private static final String NAME = "displayName";
    private static final String DESCRIPTION = "description";
    private static final String LABELS = "labels";
    private static final Set<String> MEMBERS = Set.of(NAME, DESCRIPTION, LABELS);

    /// Reads a body.
    @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
    public static MergePatch of(ObjectNode json) {
        return new MergePatch(json);
    }

    /// The result.
    ///
    /// @throws ProblemException if the patch is malformed, or the result invalid
    public Metadata applyTo(Metadata before) {
        json.propertyNames().stream()
                .filter(name -> !MEMBERS.contains(name))
                .findFirst()
                .ifPresent(name -> {
                    throw malformed("/" + name, "is not known here");
                });
        Map<String, String> labels = new TreeMap<>(before.labels());
        JsonNode changes = json.path(LABELS);
        if (changes.isNull()) {
            labels.clear();
        } else if (changes.isObject()) {
            changes.properties()
                    .forEach(it -> {
                        String value = text("/labels/" + it.getKey(), it.getValue());
                        if (value == null) {
                            labels.remove(it.getKey());
                        } else {
                            labels.put(it.getKey(), value);
                        }
                    });
        } else if (!changes.isMissingNode()) {
            throw malformed("/labels", "an object is expected here");
        }
        return Metadata.of(
                member(NAME, before.displayName()),
                member(DESCRIPTION, before.description()),
                labels);
    }

    private @Nullable String member(String name, @Nullable String before) {
        return json.has(name) ? text("/" + name, json.path(name)) : before;
    }

    private static @Nullable String text(String pointer, JsonNode value) {
        if (value.isNull()) {
            return null;
        }
        if (!value.isString()) {
            throw malformed(pointer, "a string is expected here");
        }
        return value.asString();
    }

    private static ProblemException malformed(String pointer, String detail) {
        return new ProblemException(
                Problem.MALFORMED, detail, List.of(new Violation(pointer, detail)));
    }
}
