package dev.mdev.gate;

import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// Finds lines of code. Comments do not count.
public final class SourceLines {
    private SourceLines() {}

    /// A line that was found.
    ///
    /// @param number counts from 1
    public record Line(Path file, int number, String text) {
        /// Whether the line is in a file whose name ends like one of these.
        public boolean isIn(String... nameEnds) {
            return Stream.of(nameEnds).anyMatch(file.toString()::endsWith);
        }

        @Override
        public String toString() {
            return "%s:%d: %s".formatted(ModuleSources.nameOf(file), number, text.strip());
        }
    }

    /// The lines of the files in which the pattern is found.
    public static Stream<Line> matching(Pattern pattern, List<Path> files) {
        return files.stream()
                .flatMap(SourceLines::of)
                .filter(line -> pattern.matcher(withoutComment(line.text)).find());
    }

    private static Stream<Line> of(Path file) {
        List<String> lines = ModuleSources.read(file).lines().toList();
        return IntStream.range(0, lines.size())
                .mapToObj(index -> new Line(file, index + 1, lines.get(index)));
    }

    private static String withoutComment(String line) {
        int comment = line.indexOf("//");
        return comment < 0 ? line : line.substring(0, comment);
    }
}
