package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.cli.terminal.Terminal;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/// States and pictures to and from files: a part of one never looks like all of it.
class TransferTest {
    private static final String UUID = "11111111-1111-4111-8111-111111111111";
    private static final String SAVE = "GET /api/v1/mdevs/" + UUID + "/state";
    private static final String BYTES = "application/octet-stream";
    @TempDir private Path folder = Path.of("");

    private Run save(String url, String... more) {
        List<String> arguments =
                new ArrayList<>(
                        List.of("state", "save", UUID, folder.resolve("gpu.state").toString()));
        arguments.addAll(List.of(more));
        return Run.of(Map.of("MDEV_URL", url), false, "", arguments);
    }

    private void requireEmptyFolder() throws IOException {
        try (var files = Files.list(folder)) {
            assertThat(files).isEmpty();
        }
    }

    @Test
    void aSavedStateHasAllBytes() throws IOException {
        byte[] state = new byte[100_000];
        state[99_999] = 7;
        try (Stub stub = new Stub()) {
            stub.on(SAVE, 200, BYTES, state);
            assertThat(save(stub.url()).requireOk().out()).contains("97.7 KiB");
            assertThat(folder.resolve("gpu.state")).hasBinaryContent(state);
        }
        try (var files = Files.list(folder)) {
            assertThat(files).hasSize(1);
        }
    }

    @Test
    void aStateThatEndsEarlyLeavesNoFile() throws IOException {
        try (RawServer server = new RawServer((to, _) -> to.write(RawServer.BEGINNING))) {
            save(server.url()).requireFailure(6, "broke before the answer's end");
        }
        requireEmptyFolder();
    }

    @Test
    void aStateThatStopsAdvancingLeavesNoFile() throws IOException {
        try (RawServer server =
                new RawServer((to, end) -> {
                    to.write(RawServer.BEGINNING);
                    to.flush();
                    end.await();
                })) {
            Run.connected(() -> save(server.url(), "--timeout", "200ms"))
                    .requireFailure(6, "no answer");
        }
        requireEmptyFolder();
    }

    @Test
    void peopleAtATerminalSeeTheProgress() throws IOException {
        CountDownLatch seen = new CountDownLatch(1);
        ByteArrayOutputStream out =
                new ByteArrayOutputStream() {
                    @Override
                    public synchronized void write(byte[] bytes, int offset, int length) {
                        super.write(bytes, offset, length);
                        if (toString(UTF_8).contains("\r5 B so far\u001b[K")) {
                            seen.countDown();
                        }
                    }
                };
        List<String> save = List.of("state", "save", UUID, folder.resolve("gpu.state").toString());
        try (RawServer server =
                new RawServer((to, _) -> {
                    to.write(RawServer.BEGINNING);
                    to.flush();
                    seen.await();
                    to.write("0\r\n\r\n".getBytes(UTF_8));
                })) {
            Terminal terminal =
                    new Terminal(
                            InputStream.nullInputStream(),
                            out,
                            OutputStream.nullOutputStream(),
                            true);
            int code = Mdev.run(save, Map.of("MDEV_URL", server.url()), terminal);
            assertThat(code).isZero();
        }
        assertThat(out.toString(UTF_8)).contains("\r\u001b[Kwrote ").endsWith(", 5 B\n");
    }

    @Test
    void aRefusalLeavesNoFile() throws IOException {
        try (Stub stub = new Stub()) {
            stub.on(SAVE, 409, Stub.PROBLEM, "{\"code\":\"busy\",\"detail\":\"in use\"}");
            save(stub.url()).requireFailure(4, "busy: in use");
            requireEmptyFolder();
        }
        try (Stub stub = new Stub()) {
            stub.on(SAVE, 200, "text/html", "<html>");
            save(stub.url()).requireFailure(1, "text/html");
            requireEmptyFolder();
        }
    }

    @Test
    void anExistingFileStaysUnlessItIsForced() throws IOException {
        Path file = Files.writeString(folder.resolve("gpu.state"), "old");
        try (Stub stub = new Stub()) {
            stub.on(SAVE, 200, BYTES, "new");
            save(stub.url()).requireFailure(1, "exists", "--force");
            assertThat(file).hasContent("old");
            save(stub.url(), "--force").requireOk();
            assertThat(file).hasContent("new");
        }
    }

    @Test
    void aFolderThatIsMissingIsNamed() throws IOException {
        try (Stub stub = new Stub()) {
            stub.on(SAVE, 200, BYTES, "new");
            Run.of(stub.url(), "state", "save", UUID, folder.resolve("no/such").toString())
                    .requireFailure(1, "cannot write file=", "NoSuchFile");
            assertThat(stub.requests()).isEmpty();
        }
    }

    @Test
    void bytesGoToTheStandardOutputButNotToATerminal() throws IOException {
        try (Stub stub = new Stub()) {
            stub.on(SAVE, 200, BYTES, "hello");
            assertThat(Run.of(stub.url(), "state", "save", UUID, "-").requireOk().out())
                    .isEqualTo("hello");
            Run.of(Map.of("MDEV_URL", stub.url()), true, "", List.of("state", "save", UUID, "-"))
                    .requireFailure(2, "terminal");
        }
    }

    @Test
    void aRestoreSendsTheFileOrTheInput() throws IOException {
        Path file = Files.writeString(folder.resolve("gpu.state"), "state");
        String request = "PUT /api/v1/mdevs/" + UUID + "/state";
        try (Stub stub = new Stub()) {
            stub.on(request, 204, BYTES, "");
            Run.of(stub.url(), "state", "restore", UUID, file.toString()).requireOk();
            Run.of(
                            Map.of("MDEV_URL", stub.url()),
                            false,
                            "input",
                            List.of("state", "restore", UUID, "-"))
                    .requireOk();
            assertThat(stub.requests()).containsExactly(request + " state", request + " input");
        }
    }

    @Test
    void aRestoreOfNoFileAsksNothing() throws IOException {
        try (Stub stub = new Stub()) {
            Run.of(stub.url(), "state", "restore", UUID, folder.resolve("none").toString())
                    .requireFailure(1, "cannot read file=");
            assertThat(stub.requests()).isEmpty();
        }
    }

    @Test
    void aRestoreThatTheServiceIgnoresIsGivenUp() throws IOException {
        Path file = Files.writeString(folder.resolve("gpu.state"), "state");
        try (RawServer server = new RawServer((_, end) -> end.await())) {
            Run.connected(() ->
                            Run.of(
                                    server.url(),
                                    "--timeout",
                                    "200ms",
                                    "state",
                                    "restore",
                                    UUID,
                                    file.toString()))
                    .requireFailure(6, "no answer");
        }
    }

    @Test
    void aPictureReplacesTheLastOne() throws IOException {
        Path file = Files.writeString(folder.resolve("now.png"), "old");
        try (Stub stub = new Stub()) {
            stub.on("GET /api/v1/mdevs/" + UUID + "/picture", 200, "image/png", "picture");
            Run.of(stub.url(), "picture", UUID, file.toString()).requireOk();
            assertThat(file).hasContent("picture");
        }
    }
}
