package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// The driver must be readable in an hour.
final class SizeTest {
    /// Counts as in the driver author's guide: without empty lines, comments, imports and packages.
    private static final Pattern NO_CODE = Pattern.compile("\\s*($|//|import |package ).*");

    @Test
    void theDriverHasLessThan1800Lines() throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.walk(Path.of("src/main/java"))) {
            files = all.filter(path -> path.toString().endsWith(".java")).toList();
        }
        long lines = 0;
        for (Path file : files) {
            lines +=
                    Files.readAllLines(file).stream()
                            .filter(line -> !NO_CODE.matcher(line).matches())
                            .count();
        }
        assertThat(lines).isBetween(1000L, 1799L);
    }
}
