package dev.mdev.example;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.testkit.ParentDriverConformance;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestTemplate;
import org.junit.platform.commons.support.AnnotationSupport;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/// The drivers in the guide are the drivers that pass the conformance suite.
final class DriverGuideTest {
    private static final Path DOCS = Path.of("..", "docs");
    private static final Path GUIDE = DOCS.resolve("driver-guide.md");
    private static final Path EXAMPLES = Path.of("src", "test", "java", "dev", "mdev", "example");

    /// A link to a source, and the listing after it.
    private static final Pattern EXCERPT =
            Pattern.compile(
                    "From \\[`[^`]+`]\\(([^)]+)\\):\n\n```java\n(.*?)\n```", Pattern.DOTALL);

    @Test
    void theDriverInTheGuideIsTheOneThatIsTested() throws IOException {
        String source = Files.readString(EXAMPLES.resolve("NullDriver.java"));
        String driver = source.substring(source.indexOf("/// The smallest driver")).strip();
        assertThat(Files.readString(GUIDE)).contains("```java\n" + driver + "\n```");
    }

    @Test
    void everyExcerptIsInTheSourceThatItIsFrom() throws IOException {
        var excerpts = EXCERPT.matcher(Files.readString(GUIDE)).results().toList();
        assertThat(excerpts).hasSizeGreaterThanOrEqualTo(5);
        for (MatchResult excerpt : excerpts) {
            String source = Files.readString(DOCS.resolve(excerpt.group(1)));
            assertThat(withoutIndentation(source)).contains(withoutIndentation(excerpt.group(2)));
        }
    }

    private static String withoutIndentation(String text) {
        return text.replaceAll("(?m)^ +", "");
    }

    @Test
    void theGuideCountsTheRulesOfTheSuite() throws IOException {
        long rules =
                Arrays.stream(ParentDriverConformance.class.getDeclaredClasses())
                        .<Class<?>>mapMulti((group, all) -> {
                            for (Class<?> type = group; type != null; type = type.getSuperclass()) {
                                all.accept(type);
                            }
                        })
                        .flatMap(type -> Arrays.stream(type.getDeclaredMethods()))
                        .filter(method -> AnnotationSupport.isAnnotated(method, TestTemplate.class))
                        .count();
        assertThat(Files.readString(GUIDE)).contains("The suite has " + rules + " rules ");
    }

    @Test
    void theExamplesAreShort() throws IOException {
        assertThat(linesOf("NullDriver.java")).isLessThanOrEqualTo(40);
        assertThat(linesOf("SerialDriver.java")).isLessThanOrEqualTo(155);
        assertThat(linesOf("PagingDriver.java")).isLessThanOrEqualTo(60);
    }

    private static long linesOf(String file) throws IOException {
        return Files.readAllLines(EXAMPLES.resolve(file)).stream()
                .filter(line -> !line.isBlank() && !line.strip().startsWith("//"))
                .filter(line -> !line.startsWith("import "))
                .count();
    }
}
