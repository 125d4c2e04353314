package dev.mdev.testkit.drivers;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// The guide shows the null driver; what it shows has to be what passes the conformance suite.
final class DriverGuideTest {
    private static final Path GUIDE = Path.of("..", "docs", "driver-guide.md");
    private static final Path DRIVER =
            Path.of("src", "test", "java", "dev", "mdev", "testkit", "drivers", "NullDriver.java");

    @Test
    void theDriverInTheGuideIsTheOneThatIsTested() throws IOException {
        String source = Files.readString(DRIVER);
        String driver = source.substring(source.indexOf("/// The smallest driver")).strip();
        assertThat(Files.readString(GUIDE)).contains("```java\n" + driver + "\n```");
    }

    @Test
    void theDriverHasAboutFiftyLines() throws IOException {
        assertThat(
                        Files.readAllLines(DRIVER).stream()
                                .filter(line -> !line.isBlank() && !line.startsWith("import ")))
                .hasSizeLessThanOrEqualTo(56);
    }
}
