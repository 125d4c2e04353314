package dev.mdev.host;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// The documentation comments of records, from their sources.
final class RecordDocs {
    private static final Pattern PARAM =
            Pattern.compile("@param (\\w+) (.*?)(?=\\n@|\\z)", Pattern.DOTALL);
    private static final Pattern LINK = Pattern.compile("\\[#?([\\w.#]+)]");
    private static final List<String> MODULES =
            List.of("../host-service", "../mdev-core", "../mdev-api");

    private final Map<Class<?>, String> comments = new HashMap<>();

    /// What a record is.
    Optional<String> about(Class<?> type) {
        String text = comment(type);
        int end = text.indexOf("\n@");
        String first = text.startsWith("@") ? "" : end < 0 ? text : text.substring(0, end);
        return Optional.of(flat(first.split("\n\n", 2)[0])).filter(it -> !it.isEmpty());
    }

    /// What a component of a record is.
    Optional<String> about(Class<?> type, String component) {
        return PARAM.matcher(comment(type))
                .results()
                .filter(found -> found.group(1).equals(component))
                .map(found -> flat(found.group(2)))
                .findFirst();
    }

    private static String flat(String text) {
        return LINK.matcher(text).replaceAll("`$1`").replaceAll("\\s+", " ").strip();
    }

    private String comment(Class<?> type) {
        return comments.computeIfAbsent(type, RecordDocs::read);
    }

    private static String read(Class<?> type) {
        Class<?> top = type;
        while (top.getEnclosingClass() != null) {
            top = top.getEnclosingClass();
        }
        String file = "src/main/java/" + top.getName().replace('.', '/') + ".java";
        Matcher declaration =
                Pattern.compile(
                                "((?:^ *///.*\\n)+)(?: *@.*\\n)* *(?:public |private |sealed )*"
                                        + "(?:record|interface|enum) "
                                        + type.getSimpleName()
                                        + "\\b",
                                Pattern.MULTILINE)
                        .matcher(source(file));
        return declaration.find()
                ? declaration.group(1).replaceAll("(?m)^ */// ?", "").strip()
                : "";
    }

    private static String source(String file) {
        try (Stream<String> modules = MODULES.stream()) {
            Optional<Path> found =
                    modules.map(module -> Path.of(module, file)).filter(Files::exists).findFirst();
            return found.isPresent() ? Files.readString(found.get()) : "";
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
