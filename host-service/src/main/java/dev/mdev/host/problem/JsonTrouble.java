package dev.mdev.host.problem;

import org.springframework.http.ProblemDetail;
import org.springframework.http.converter.HttpMessageNotReadableException;

import tools.jackson.core.JacksonException;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.exc.StreamReadException;
import tools.jackson.databind.exc.InvalidFormatException;
import tools.jackson.databind.exc.InvalidTypeIdException;
import tools.jackson.databind.exc.MismatchedInputException;
import tools.jackson.databind.exc.UnrecognizedPropertyException;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.UUID;

/// Describes the error in an unreadable body, without names of Java classes.
final class JsonTrouble {
    private JsonTrouble() {}

    static ProblemDetail describe(HttpMessageNotReadableException e) {
        for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
            if (cause instanceof JacksonException json) {
                Violation violation = new Violation(pointerOf(json.getPath()), words(json));
                return Problems.withViolations(
                        Problems.of(Problem.MALFORMED, "the body: " + violation.detail()),
                        List.of(violation));
            }
        }
        return Problems.of(Problem.MALFORMED, "the body is missing or cannot be read");
    }

    static String text(JacksonException e) {
        String pointer = pointerOf(e.getPath());
        return pointer.isEmpty() ? words(e) : pointer + ": " + words(e);
    }

    private static String words(JacksonException e) {
        return switch (e) {
            case UnrecognizedPropertyException unknown ->
                    "unknown field: " + unknown.getPropertyName() + known(unknown);
            case InvalidTypeIdException kind -> "unknown kind: " + kind.getTypeId();
            case InvalidFormatException format ->
                    "%s is not a %s".formatted(format.getValue(), wordFor(format.getTargetType()));
            case MismatchedInputException mismatch ->
                    mismatch.getTargetType() == null
                            ? "not what is expected here"
                            : "a %s is expected here".formatted(wordFor(mismatch.getTargetType()));
            case StreamReadException syntax -> "not JSON" + at(syntax.getLocation());
            default -> "cannot be read" + at(e.getLocation());
        };
    }

    private static String known(UnrecognizedPropertyException e) {
        Collection<Object> known = e.getKnownPropertyIds();
        return known == null || known.isEmpty()
                ? ""
                : "; known are "
                        + String.join(", ", known.stream().map(String::valueOf).sorted().toList());
    }

    private static String at(@org.jspecify.annotations.Nullable TokenStreamLocation location) {
        return location == null
                ? ""
                : " at line %d column %d".formatted(location.getLineNr(), location.getColumnNr());
    }

    /// The everyday name of a type's values.
    static String wordFor(Class<?> type) {
        if (type == UUID.class) {
            return "UUID";
        }
        if (type == Duration.class) {
            return "duration such as 500ms or 5s";
        }
        if (type.isEnum()) {
            List<String> names = new ArrayList<>();
            Arrays.stream(type.getEnumConstants())
                    .forEach(name -> names.add(name.toString().toLowerCase(Locale.ROOT)));
            return "value out of " + String.join(", ", names);
        }
        if (type == boolean.class || type == Boolean.class) {
            return "boolean";
        }
        if (type == String.class) {
            return "string";
        }
        if (type.isPrimitive() || Number.class.isAssignableFrom(type)) {
            return "whole number in range";
        }
        return Collection.class.isAssignableFrom(type) ? "list" : "JSON object of the right form";
    }

    private static String pointerOf(List<JacksonException.Reference> path) {
        StringBuilder pointer = new StringBuilder();
        for (JacksonException.Reference step : path) {
            pointer.append('/');
            pointer.append(
                    step.getPropertyName() == null
                            ? String.valueOf(step.getIndex())
                            : escape(step.getPropertyName()));
        }
        return pointer.toString();
    }

    /// The pointer of a bean property path such as `ops[3].count`.
    static String pointerOf(String beanPath) {
        StringBuilder pointer = new StringBuilder();
        for (String step : beanPath.replace("]", "").split("[.\\[]", -1)) {
            pointer.append('/').append(escape(step));
        }
        return pointer.toString();
    }

    private static String escape(String step) {
        return step.replace("~", "~0").replace("/", "~1");
    }
}
