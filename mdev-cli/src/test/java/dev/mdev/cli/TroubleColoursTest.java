package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// Events of trouble are red, and others are not.
class TroubleColoursTest {
    private static final Path REFERENCE = Path.of("..", "docs", "rest-reference.md");
    private static final Pattern TROUBLES =
            Pattern.compile("(?s)\n- Trouble, logged as warnings:(.*?)\n\n");
    private static final Pattern KIND = Pattern.compile("`([a-z]+_[a-z_]+|thrashing)`");

    @Test
    void eachKindThatTheReferenceCallsTroubleIsRed() throws IOException {
        List<String> kinds = troubles();
        assertThat(kinds).contains("mdev_lost", "thrashing").hasSizeGreaterThan(10);
        String items =
                kinds.stream()
                        .map("{\"id\":1,\"kind\":\"%s\"}"::formatted)
                        .collect(Collectors.joining(","));
        try (Stub stub = new Stub()) {
            stub.onGet(
                    "events?after=0&limit=1000",
                    "{\"items\":[%s,{\"id\":2,\"kind\":\"mdev_created\"}]}".formatted(items));
            String printed = Run.of(stub.url(), "events", "--color", "always").requireOk().out();
            assertThat(kinds)
                    .allSatisfy(kind ->
                            assertThat(printed).contains("\u001b[31m%s\u001b[0m".formatted(kind)));
            assertThat(printed).contains("mdev_created").doesNotContain("[31mmdev_created");
        }
    }

    private static List<String> troubles() throws IOException {
        MatchResult list =
                TROUBLES.matcher(Files.readString(REFERENCE)).results().findFirst().orElseThrow();
        return KIND.matcher(list.group(1)).results().map(kind -> kind.group(1)).toList();
    }
}
