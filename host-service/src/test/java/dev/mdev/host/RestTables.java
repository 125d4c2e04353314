package dev.mdev.host;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What the tables of docs/rest-reference.md say about each call and each kind of problem.
final class RestTables {
    private static final Path REFERENCE = Path.of("..", "docs", "rest-reference.md");
    private static final Pattern CALL =
            Pattern.compile(
                    "\\| (GET|PUT|POST|PATCH|DELETE) `([^`?]+)[^`]*`([^|]*)\\| ([^|]+) \\| ([^|]+)"
                            + " \\|");
    private static final Pattern PROBLEM =
            Pattern.compile("\\| `([a-z-]+)` \\| (\\d{3}) \\| ([^|]+) \\|");
    private static final Pattern LINK = Pattern.compile("\\[([^]]+)]\\([^)]+\\)");
    private static final Pattern STATUS = Pattern.compile("\\b2\\d\\d\\b");

    private final Map<String, Call> calls = new LinkedHashMap<>();
    private final Map<String, String> problems = new LinkedHashMap<>();

    /// @param statuses of success
    record Call(String effect, List<String> statuses) {}

    RestTables() {
        for (String line : lines()) {
            Matcher call = CALL.matcher(line);
            Matcher problem = PROBLEM.matcher(line);
            if (call.matches()) {
                // A call in another format has the same success.
                calls.putIfAbsent(
                        keyOf(call.group(1), call.group(2)),
                        new Call(
                                LINK.matcher(call.group(4)).replaceAll("$1"),
                                STATUS.matcher(call.group(5))
                                        .results()
                                        .map(found -> found.group())
                                        .toList()));
            } else if (problem.matches()) {
                problems.put(problem.group(1), problem.group(3));
            }
        }
    }

    private static List<String> lines() {
        try {
            return Files.readAllLines(REFERENCE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Names of variables do not matter.
    private static String keyOf(String method, String path) {
        String full = path.startsWith("/api/") ? path : "/api/v1" + path;
        return method + " " + full.replaceAll("\\{[^}]+}", "{}");
    }

    /// @throws IllegalStateException if the tables lack it
    Call call(String method, String path) {
        Call call = calls.get(keyOf(method, path));
        if (call == null || call.statuses().isEmpty()) {
            throw new IllegalStateException(REFERENCE + " has no row for " + method + " " + path);
        }
        return call;
    }

    int size() {
        return calls.size();
    }

    /// What each kind of problem means, by its code.
    Map<String, String> problems() {
        return problems;
    }
}
