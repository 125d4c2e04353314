package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.io.IOException;
import java.net.ServerSocket;
import java.util.stream.Stream;

/// Servers that are down, slow, or no service of mediated devices: each call ends with one line and
/// the right exit code.
class HostileServiceTest {
    private static final String ESCAPE = "\u001b[31mred\u0007\u202e\u0085";

    @Test
    void aServiceThatIsDownIsUnreachable() throws IOException {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        Run.of("http://127.0.0.1:" + port, "list")
                .requireFailure(6, "cannot connect to http://127.0.0.1:" + port, "bin/mdev-host");
    }

    @Test
    void aHostWithoutANameIsUnreachable() {
        Run.of("http://no-such-host.invalid:8080", "list").requireFailure(6, "no-such-host");
    }

    @Test
    void aServiceThatKeepsSilentIsUnreachableAfterTheTimeout() throws IOException {
        try (RawServer server = new RawServer((_, end) -> end.await())) {
            Run.connected(() -> Run.of(server.url(), "list", "--timeout", "50ms"))
                    .requireFailure(6, "no answer", "within 50ms", "--timeout");
        }
    }

    @Test
    void anAnswerThatDripsIsGivenUpAfterTheTimeout() throws IOException {
        try (RawServer server =
                new RawServer((to, end) -> {
                    to.write(head("application/json", 1000).getBytes(UTF_8));
                    to.write('{');
                    to.flush();
                    end.await();
                })) {
            Run.connected(() -> Run.of(server.url(), "list", "--timeout", "300ms"))
                    .requireFailure(6, "within 300ms");
        }
    }

    @ParameterizedTest
    @MethodSource("strangers")
    void aStrangeAnswerIsOneLine(String answer, int code, String words) throws IOException {
        try (RawServer server = new RawServer((to, _) -> to.write(answer.getBytes(UTF_8)))) {
            Run.of(server.url(), "list").requireFailure(code, words);
        }
    }

    static Stream<Arguments> strangers() {
        return Stream.of(
                Arguments.of("SSH-2.0-OpenSSH_9.2\r\n", 1, "no HTTP"),
                Arguments.of("\u0000\u0001\u0002\r\n\r\n", 1, "no HTTP"),
                Arguments.of("", 6, "broke"),
                Arguments.of(answer(200, "text/html", "<html>"), 1, "status 200 with text/html"),
                Arguments.of(answer(404, "text/html", "<html>"), 1, "status 404 with text/html"),
                Arguments.of(answer(302, "text/html", ""), 1, "status 302"),
                Arguments.of(answer(200, "application/json", "{\"items\":["), 1, "malformed JSON"),
                Arguments.of(answer(200, "application/json", ""), 1, "not an object"),
                Arguments.of(answer(200, "application/json", "[]"), 1, "not an object"),
                Arguments.of(answer(200, "application/json", "{\"a\":1,\"a\":2}"), 1, "malformed"),
                Arguments.of(
                        answer(200, "application/json", "[".repeat(100_000)), 1, "malformed JSON"),
                Arguments.of(answer(500, "application/problem+json", "not JSON"), 1, "status 500"),
                Arguments.of(answer(500, "application/problem+json", "{}"), 1, "no reason"),
                Arguments.of(head("application/json", 100), 6, "broke before the answer's end"),
                Arguments.of(head("application/json", 1L << 40), 6, "broke"));
    }

    private static String answer(int status, String type, String body) {
        return "HTTP/1.1 %d x\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                .formatted(status, type, body.length(), body);
    }

    /// The beginning of an answer.
    private static String head(String type, long length) {
        return "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                .formatted(type, length);
    }

    @Test
    void anAnswerWithoutEndIsGivenUp() throws IOException {
        byte[] blanks = " ".repeat(1 << 20).getBytes(UTF_8);
        try (RawServer server =
                new RawServer((to, _) -> {
                    to.write(head("application/json", 1L << 40).getBytes(UTF_8));
                    for (int i = 0; i < 100; i++) {
                        to.write(blanks);
                    }
                })) {
            Run.of(server.url(), "list").requireFailure(1, "more than 67108864 bytes");
        }
    }

    @ParameterizedTest
    @MethodSource("problems")
    void eachStatusHasItsExitCode(int status, int code) throws IOException {
        try (Stub stub = new Stub()) {
            stub.on(
                    "GET /api/v1/mdevs",
                    status,
                    Stub.PROBLEM,
                    "{\"code\":\"x\",\"detail\":\"the reason\"}");
            Run.of(stub.url(), "list").requireFailure(code, "x: the reason");
        }
    }

    static Stream<Arguments> problems() {
        return Stream.of(
                Arguments.of(400, 5),
                Arguments.of(403, 5),
                Arguments.of(404, 3),
                Arguments.of(409, 4),
                Arguments.of(422, 5),
                Arguments.of(500, 1),
                Arguments.of(501, 5),
                Arguments.of(502, 1),
                Arguments.of(503, 1),
                Arguments.of(504, 1),
                Arguments.of(507, 1));
    }

    @Test
    void fieldsOfOtherTypesAreShownAsFarAsTheyGo() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet(
                    "mdevs",
                    "{\"items\":[5,null,{\"uuid\":[],\"state\":7,\"faults\":1e999,"
                            + "\"residentPages\":9223372036854775807}]}");
            stub.onGet("machines", "{\"items\":5}");
            stub.onGet("events?after=0&limit=1000", "{\"items\":{}}");
            assertThat(Run.of(stub.url(), "list", "-o", "wide").requireOk().out().lines())
                    .hasSize(4);
            assertThat(Run.of(stub.url(), "machines").requireOk().out().lines()).hasSize(1);
            assertThat(Run.of(stub.url(), "events").requireOk().out().lines()).hasSize(1);
        }
    }

    @ParameterizedTest
    @MethodSource("formats")
    void escapeSequencesInAnAnswerReachNoTerminal(String format) throws IOException {
        String text = ESCAPE.replace("\u001b", "\\u001b").replace("\u0007", "\\u0007");
        try (Stub stub = new Stub()) {
            stub.onGet(
                    "mdevs",
                    "{\"items\":[{\"uuid\":\"%s\",\"%s\":\"%s\"}]}".formatted(text, text, text));
            Run run = Run.of(stub.url(), "list", "-o", format).requireOk();
            assertThat(run.out()).contains("\\u001b[31mred\\u0007\\u202e\\u0085");
            assertThat(run.out().codePoints().filter(point -> point < ' ' && point != '\n'))
                    .isEmpty();
        }
    }

    static Stream<String> formats() {
        return Stream.of("table", "wide", "name", "json", "yaml");
    }

    @Test
    void escapeSequencesInAnErrorReachNoTerminal() throws IOException {
        try (Stub stub = new Stub()) {
            stub.on(
                    "GET /api/v1/mdevs",
                    404,
                    Stub.PROBLEM,
                    "{\"code\":\"\\u001b[2J\",\"detail\":\"a\\nb\\u001b]0;title\\u0007\"}");
            Run run = Run.of(stub.url(), "list").requireFailure(3, "\\u001b[2J: a\\u000ab");
            assertThat(run.errors().chars().filter(one -> one < ' ' && one != '\n')).isEmpty();
        }
        Run.of("http://127.0.0.1:1", "show", "\u001b[2J").requireFailure(2, "\\u001b[2J");
    }
}
