package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/// What `import` finds in a folder, and what it sends.
class ImportVerbTest {
    private static final String CALL = "POST /api/v1/definitions/import";
    private static final String DEFINED =
            "{\"files\":[{\"path\":\"p/b\",\"outcome\":\"defined\"}]}";
    @TempDir private Path folder = Path.of("");

    private Path parent(String name) throws IOException {
        return Files.createDirectories(folder.resolve(name));
    }

    private Run run(Stub stub, String... more) {
        String[] words = Arrays.copyOf(new String[] {"import", folder.toString()}, more.length + 2);
        System.arraycopy(more, 0, words, 2, more.length);
        return Run.of(stub.url(), words);
    }

    /// The paths in each request.
    private static List<List<String>> sent(Stub stub) {
        return stub.requests().stream()
                .map(request -> JsonMapper.shared().readTree(request.substring(CALL.length())))
                .map(body -> body.at("/files").valueStream())
                .map(files -> files.map(file -> file.at("/path").asString()).toList())
                .toList();
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, disabledReason = "some files are links")
    void whatIsNoTextIsNamedAndTheOthersGoThrough() throws IOException {
        Path parent = parent("p");
        Files.createDirectory(parent.resolve("a"));
        Files.writeString(parent.resolve("b"), "good");
        Files.createSymbolicLink(parent.resolve("c"), Path.of("nowhere"));
        Files.createSymbolicLink(parent.resolve("d"), Path.of("b"));
        Files.createSymbolicLink(folder.resolve("q"), Path.of("p"));
        Files.write(parent.resolve("e"), new byte[] {'{', (byte) 0xc3, '}'});
        Files.writeString(parent.resolve("f"), " ".repeat(300 << 10));
        Files.writeString(parent.resolve("g"), "\u0001".repeat(200 << 10));
        try (Stub stub = new Stub()) {
            stub.on(CALL, 200, Stub.JSON, DEFINED);

            Run run = run(stub);

            assertThat(run.code()).isEqualTo(4);
            assertThat(run.out())
                    .isEqualTo(
                            """
                            FILE  OUTCOME  REASON
                            p/a   refused  not a file
                            p/b   defined  -
                            p/c   refused  not a file
                            p/d   refused  not a file
                            p/e   refused  not UTF-8
                            p/f   refused  larger than 262144 bytes
                            p/g   refused  not JSON: too many control characters
                            """);
            assertThat(sent(stub)).containsExactly(List.of("p/b"));
        }
    }

    @Test
    void scriptsAndFilesBesideTheFoldersOfParentsAreLeftAlone() throws IOException {
        Files.writeString(parent("scripts.d").resolve("callout"), "#!/bin/sh");
        Files.writeString(folder.resolve("README"), "hello");
        parent("empty");
        try (Stub stub = new Stub()) {
            assertThat(run(stub, "-o", "name").requireOk().out()).isEmpty();
            assertThat(stub.requests()).isEmpty();
        }
    }

    /// The service takes 4096 files and 1 MB.
    @Test
    void aLargeFolderIsSentInParts() throws IOException {
        Path parent = parent("p");
        for (int i = 0; i < 1001; i++) {
            Files.writeString(parent.resolve("a%04d".formatted(i)), "");
        }
        for (int i = 0; i < 4; i++) {
            Files.writeString(parent.resolve("b" + i), "ä".repeat(100 << 10));
        }
        try (Stub stub = new Stub()) {
            stub.on(CALL, 200, Stub.JSON, "{\"files\":[]}");

            Run run = run(stub, "-o", "json");

            List<List<String>> sent = sent(stub);
            assertThat(sent).hasSize(3);
            assertThat(sent.get(0)).hasSize(1000);
            assertThat(sent.get(1)).containsExactly("p/a1000", "p/b0", "p/b1", "p/b2");
            assertThat(sent.get(2)).containsExactly("p/b3");
            assertThat(stub.requests())
                    .allSatisfy(it -> assertThat(it.getBytes(UTF_8).length).isLessThan(1_000_000));
            assertThat(run.code()).isEqualTo(4);
            JsonNode last = JsonMapper.shared().readTree(run.out()).at("/files/1004");
            assertThat(last.at("/path").asString()).isEqualTo("p/b3");
            assertThat(last.at("/reason").asString()).contains("does not answer");
        }
    }

    @Test
    void theOutcomesAreInTheOrderOfTheFiles() throws IOException {
        Path parent = parent("p");
        Files.createDirectory(parent.resolve("a"));
        Files.writeString(parent.resolve("b"), "1");
        Files.createDirectory(parent.resolve("c"));
        Files.writeString(parent.resolve("d"), "2");
        try (Stub stub = new Stub()) {
            stub.on(
                    CALL,
                    200,
                    Stub.JSON,
                    "{\"files\":[{\"path\":\"p/b\",\"outcome\":\"changed\"},"
                            + "{\"path\":\"p/d\",\"outcome\":\"unchanged\"}]}");

            assertThat(run(stub).out())
                    .containsSubsequence("p/a", "p/b   changed", "p/c", "p/d   unchanged");
            assertThat(sent(stub)).containsExactly(List.of("p/b", "p/d"));
        }
    }

    @Test
    void aFolderThatIsMissingIsNamed() throws IOException {
        try (Stub stub = new Stub()) {
            Run.of(stub.url(), "import", folder.resolve("none").toString())
                    .requireFailure(1, "none", "NoSuchFile");
        }
    }
}
