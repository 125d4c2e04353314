package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.US_ASCII;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.util.Map;

/// Requests that no client of ours sends. None is taken for a bug of the service, and each answer
/// has an id.
class RequestShapeTest extends HostTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "*/*",
                "application/*",
                ";;",
                "application/json; charset=klingon",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "text/plain",
            })
    void aBodyOfAnotherFormatIsRefused(String contentType) {
        api.send("POST", "/api/v1/machines", "{}", Map.of("Content-Type", contentType))
                .requireProblem(415, "unsupported-media-type");
    }

    @ParameterizedTest
    @CsvSource({
        "GET /api/v1/events?limit=%,                400",
        "GET /api/v1/events?limit=%zz&x=%00,        400",
        "GET /actuator/health/../env,               400",
        "GET /actuator/health/%2e%2E/env,           400",
        "GET /api/v1/mdevs/.,                       400",
        "GET /api/v1/mdevs/%00,                     400",
        "GET /api/v1/parents/%ff%fe,                400",
        "GET /api/v1/parents/..%2f..,               400",
        "GET //,                                    400",
        "TRACE /api/v1/events,                      405",
    })
    void aPathOrAQueryThatCannotBeReadIsRefused(String request, int status) throws IOException {
        String answer = raw(request + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

        assertThat(answer).startsWith("HTTP/1.1 " + status).contains("X-Request-Id: ");
        assertThat(answer).contains("\"instance\":\"urn:uuid:").doesNotContain("\tat ");
    }

    @Test
    void anAnswerOfTheContainerItselfHasAnIdToo() throws IOException {
        String answer = raw("GET /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: odd\r\n\r\n");

        assertThat(answer).startsWith("HTTP/1.1 501").contains("X-Request-Id: ");
    }

    private String raw(String request) throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port())) {
            socket.getOutputStream().write(request.getBytes(US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), US_ASCII);
        }
    }
}
