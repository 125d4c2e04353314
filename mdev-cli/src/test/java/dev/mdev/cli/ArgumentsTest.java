package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Arguments, the environment and the profile file.
class ArgumentsTest {
    private static final String UUID = "11111111-1111-4111-8111-111111111111";

    @TempDir private Path folder = Path.of("");

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "lst",
                "show",
                "show 1-1-1-1-1",
                "show x",
                "list --nothing",
                "list -o text",
                "list --color sometimes",
                "list --timeout soon",
                "list --timeout 0s",
                "list --url ftp://host",
                "list --url http://user@host",
                "list --url 127.0.0.1:8080",
                "list --profile none",
                "parents show ..",
                "state",
                "machines rename vm1",
                "define",
                "define -p gpu0",
                "modify 11111111-1111-4111-8111-111111111111",
                "modify 11111111-1111-4111-8111-111111111111 --auto --manual",
                "undefine",
                "start -p gpu0",
                "stop 11111111-1111-4111-8111-111111111111 -u 11111111-1111-4111-8111-111111111111",
                "delete",
                "delete 11111111-1111-4111-8111-111111111111 --no-force",
                "delete 11111111-1111-4111-8111-111111111111 --grace 10",
                "delete 11111111-1111-4111-8111-111111111111 -o text",
                "top --interval 0s",
                "watch --count often",
                "completion fish"
            })
    void wrongArgumentsReachNoService(String line) throws IOException {
        try (Stub stub = new Stub()) {
            String[] words = line.isEmpty() ? new String[0] : line.split(" ");
            Run.of(stub.url(), words).requireFailure(2);
            assertThat(stub.requests()).isEmpty();
        }
    }

    @Test
    void aMisspeltVerbHasASuggestion() {
        Run.of("http://127.0.0.1:1", "atach").requireFailure(2, "attach", "mdev --help");
        Run.of("http://127.0.0.1:1", "list", "--quite").requireFailure(2, "mdev list --help");
    }

    @Test
    void optionsStandBeforeOrAfterTheVerb() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet("machines", "{\"items\":[{\"name\":\"vm1\"}]}");
            for (List<String> line :
                    List.of(
                            List.of("--url", stub.url(), "-o", "name", "machines"),
                            List.of("machines", "-o", "name", "--url", stub.url()),
                            List.of("--output=name", "machines", "list", "--url=" + stub.url()))) {
                Run run = Run.of(Map.of(), false, "", line).requireOk();
                assertThat(run.out()).isEqualTo("vm1\n");
            }
        }
    }

    @Test
    void aValueThatIsAVerbIsStillAValue() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet("parents/list/types/show/explain", "{\"text\":\"it fits\"}");
            assertThat(Run.of(stub.url(), "explain", "list", "show").requireOk().out())
                    .isEqualTo("it fits\n");
        }
    }

    @Test
    void namesBecomeOneSegmentOfThePath() throws IOException {
        try (Stub stub = new Stub()) {
            Run.of(stub.url(), "machines", "show", "a/../b?c#d é").requireFailure(3);
            assertThat(stub.requests())
                    .containsExactly("GET /api/v1/machines/a%2F..%2Fb%3Fc%23d%20%C3%A9");
        }
    }

    @Test
    void aNameThatBeginsWithAnAtSignIsNoFileOfArguments() throws IOException {
        Path file = Files.writeString(folder.resolve("arguments"), "delete");
        try (Stub stub = new Stub()) {
            Run.of(stub.url(), "machines", "show", "@" + file).requireFailure(3);
            assertThat(stub.requests())
                    .singleElement()
                    .asString()
                    .startsWith("GET /api/v1/machines/%40");
        }
    }

    @Test
    void theProfileFileNamesServices() throws IOException {
        try (Stub stub = new Stub();
                Stub other = new Stub()) {
            stub.onGet("machines", "{\"items\":[{\"name\":\"vm1\"}]}");
            other.onGet("machines", "{\"items\":[{\"name\":\"vm2\"}]}");
            Path file = Files.createDirectories(folder.resolve("mdev")).resolve("config");
            Files.writeString(
                    file,
                    "# all\noutput = name\nurl=%s\n\n[lab]\nurl = %s\ntimeout = 10s\n"
                            .formatted(stub.url(), other.url()));
            String home = folder.toString();
            assertThat(machines(Map.of("XDG_CONFIG_HOME", home))).isEqualTo("vm1\n");
            assertThat(machines(Map.of("XDG_CONFIG_HOME", home, "MDEV_PROFILE", "lab")))
                    .isEqualTo("vm2\n");
            assertThat(machines(Map.of("XDG_CONFIG_HOME", home), "--profile", "lab"))
                    .isEqualTo("vm2\n");
            assertThat(machines(Map.of("XDG_CONFIG_HOME", home, "MDEV_URL", other.url())))
                    .isEqualTo("vm2\n");
            assertThat(
                            machines(
                                    Map.of("XDG_CONFIG_HOME", home, "MDEV_URL", stub.url()),
                                    "--profile",
                                    "lab"))
                    .isEqualTo("vm2\n");
            Files.writeString(file, "url = x\nurll = y\n");
            Run.of(Map.of("XDG_CONFIG_HOME", home), false, "", List.of("machines"))
                    .requireFailure(2, "line=2", "urll");
        }
    }

    private static String machines(Map<String, String> environment, String... more) {
        List<String> line = new ArrayList<>(List.of("machines"));
        line.addAll(List.of(more));
        return Run.of(environment, false, "", line).requireOk().out();
    }

    @Test
    void silenceLeavesOutConfirmationsButNotAnswers() throws IOException {
        try (Stub stub = new Stub()) {
            stub.on("POST /api/v1/mdevs/" + UUID + "/reset", 204, Stub.JSON, "");
            stub.on("POST /api/v1/mdevs", 201, Stub.JSON, "{\"uuid\":\"" + UUID + "\"}");
            assertThat(Run.of(stub.url(), "reset", UUID, "-q").requireOk().out()).isEmpty();
            assertThat(Run.of(stub.url(), "create", "p", "t", "-q").requireOk().out())
                    .isEqualTo(UUID + "\n");
        }
    }

    @Test
    void coloursAreForTerminals() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet("mdevs", "{\"items\":[{\"uuid\":\"u\",\"state\":{\"activity\":\"lost\"}}]}");
            String url = stub.url();
            String red = "\u001b[31mlost\u001b[0m";
            assertThat(list(Map.of("MDEV_URL", url), true)).contains(red);
            assertThat(list(Map.of("MDEV_URL", url), false)).doesNotContain("\u001b");
            assertThat(list(Map.of("MDEV_URL", url, "NO_COLOR", "1"), true))
                    .doesNotContain("\u001b");
            assertThat(list(Map.of("MDEV_URL", url, "TERM", "dumb"), true))
                    .doesNotContain("\u001b");
            assertThat(list(Map.of("MDEV_URL", url), false, "--color", "always")).contains(red);
            assertThat(list(Map.of("MDEV_URL", url), true, "--color", "never"))
                    .doesNotContain("\u001b");
        }
    }

    private static String list(Map<String, String> environment, boolean terminal, String... more) {
        List<String> line = new ArrayList<>(List.of("list"));
        line.addAll(List.of(more));
        return Run.of(environment, terminal, "", line).requireOk().out();
    }

    @Test
    void eachVerbDescribesItself() {
        for (String verb :
                Run.of("", "--help")
                        .requireOk()
                        .out()
                        .lines()
                        .filter(line -> line.startsWith("  ") && !line.startsWith("   "))
                        .filter(line -> !line.strip().startsWith("-"))
                        .map(line -> line.strip().replaceFirst(" .*", ""))
                        .toList()) {
            assertThat(Run.of("", verb, "--help").requireOk().out())
                    .startsWith("Usage: mdev " + verb);
        }
    }
}
