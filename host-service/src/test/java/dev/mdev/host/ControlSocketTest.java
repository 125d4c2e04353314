package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;

/// The Unix socket, the audit log, and bodies that stop, of a running server.
class ControlSocketTest extends SecuredTest {
    @TempDir private static Path folder = Path.of("");

    @DynamicPropertySource
    static void settings(DynamicPropertyRegistry registry) {
        registry.add("mdev.access.socket.path", () -> folder.resolve("s/mdev.sock").toString());
        registry.add("mdev.access.socket.mode", () -> "0640");
        registry.add("mdev.access.requests-per-second", () -> 40);
        // Longer than a client on a busy machine needs between two parts of a request.
        registry.add("server.tomcat.connection-timeout", () -> "5s");
        registry.add("server.tomcat.keep-alive-timeout", () -> "60s");
    }

    private static String overSocket(String request) throws IOException {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(folder.resolve("s/mdev.sock")));
            OutputStream out = Channels.newOutputStream(channel);
            out.write(request.getBytes(StandardCharsets.US_ASCII));
            InputStream in = Channels.newInputStream(channel);
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    @Test
    void whoMayOpenTheSocketIsAnAdministratorAndTheModeSaysWho() throws IOException {
        assertThat(
                        PosixFilePermissions.toString(
                                Files.getPosixFilePermissions(folder.resolve("s/mdev.sock"))))
                .isEqualTo("rw-r-----");
        String answer =
                overSocket("GET /api/v1/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assertThat(answer).startsWith("HTTP/1.1 200").contains("\"means\":\"socket\"");
        anyone.get("/api/v1/session").requireProblem(401, "unauthenticated");
    }

    @Test
    void aTokenOnTheSocketCountsBeforeTheSocket() throws IOException {
        As viewer = token("viewer", "");
        String head =
                "Host: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n"
                        .formatted(viewer.token);
        assertThat(overSocket("GET /api/v1/session HTTP/1.1\r\n" + head)).contains("viewer");
        assertThat(overSocket("DELETE /api/v1/machines/x HTTP/1.1\r\n" + head))
                .startsWith("HTTP/1.1 403");
    }

    @Test
    void theAuditLogSaysWhoDidWhatWithWhichResult() {
        As operator = token("operator", ",\"tenant\":\"red\"");
        operator.post("/api/v1/machines", "{\"name\":\"audited\"}").requireStatus(201);
        Answer refused = operator.post("/api/v1/parents/gpu0/rescan", "").requireStatus(403);
        anyone.delete("/api/v1/machines/audited").requireStatus(401);

        Answer all = admin.get("/api/v1/audit?limit=1000").requireStatus(200);

        assertThat(all.body().at("/items"))
                .anySatisfy(it -> {
                    assertThat(it.at("/phase").asString()).isEqualTo("done");
                    assertThat(it.at("/caller").asString()).isEqualTo("operator");
                    assertThat(it.at("/tenant").asString()).isEqualTo("red");
                    assertThat(it.at("/method").asString()).isEqualTo("POST");
                    assertThat(it.at("/status").asInt()).isEqualTo(201);
                    assertThat(it.at("/made").asString()).isEqualTo("/api/v1/machines/audited");
                })
                .anySatisfy(it -> {
                    assertThat(it.at("/request").asString())
                            .isEqualTo(refused.header("X-Request-Id"));
                    assertThat(it.at("/status").asInt()).isEqualTo(403);
                });
        assertThat(all.text()).doesNotContain(operator.token.substring(22));
        Answer verdict = admin.get("/api/v1/audit/verification?of=1").requireStatus(200);
        assertThat(verdict.body().at("/intact").asBoolean()).as(verdict.text()).isTrue();
        assertThat(verdict.at("/known")).hasSize(64);
        tenant("red", "admin").get("/api/v1/audit").requireProblem(403, "denied");
    }

    @Test
    void aBodyThatStopsIsAnsweredWith408() throws IOException {
        String head =
                "POST /api/v1/machines HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\""
                        .formatted(ADMIN);
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port())) {
            socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
            assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                    .startsWith("HTTP/1.1 408")
                    .contains("request-timeout");
        }
    }

    @Test
    void aCallerThatSendsTooMuchWaitsAndOthersDoNot() throws Exception {
        As busy = token("viewer", ",\"tenant\":\"busy\"");
        // Many at once: one after the other may be slow enough on a busy machine.
        AtomicReference<@Nullable Answer> found = new AtomicReference<>();
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<?>> senders = new ArrayList<>();
            for (int i = 0; i < 16; i++) {
                senders.add(
                        threads.submit(() -> {
                            while (found.get() == null && System.nanoTime() - end < 0) {
                                Answer answer = busy.get("/api/v1/session");
                                if (answer.status() != 200) {
                                    found.set(answer);
                                }
                            }
                        }));
            }
            for (Future<?> sender : senders) {
                sender.get();
            }
        }
        Answer refused = Objects.requireNonNull(found.get(), "never refused");
        refused.requireProblem(429, "too-many-requests");
        assertThat(refused.header("Retry-After")).isEqualTo("1");
        token("operator", "").get("/api/v1/session").requireStatus(200);
    }
}
