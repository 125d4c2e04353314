package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.test.context.TestPropertySource;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.locks.LockSupport;

/// Clients that send or read a state too slowly.
@ExtendWith(OutputCaptureExtension.class)
@TestPropertySource(properties = "mdev.web.max-transfer=6s")
@Tag("slow")
class SlowTransferTest extends HostTest {
    private static final String STEP =
            "{\"steps\":[{\"op\":\"%s\",\"at\":{\"mdev\":\"%s\",\"bar\":0,\"offset\":4096},"
                    + "\"count\":%d,\"stride\":4096,\"value\":\"0xabc000\",\"step\":1}],"
                    + "\"deadlineMillis\":600000}";

    private static String state(UUID mdev) {
        return "/api/v1/mdevs/%s/state".formatted(mdev);
    }

    private UUID filled(String type, int pages) {
        UUID mdev = api.createMdev("gpu0", type);
        api.createMachine("vm1", mdev);
        assertThat(api.run("vm1", STEP.formatted("write", mdev, pages)).at("/end"))
                .isEqualTo("completed");
        return mdev;
    }

    private Socket open(String request) throws IOException {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), port());
        socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
        return socket;
    }

    @Test
    void aStateThatComesDropByDropIsCutOffAndTheDeviceIsResetAndFree() throws IOException {
        UUID mdev = filled("gpu-sample-16m", 100);
        byte[] saved = api.bytes(state(mdev)).body();
        String head =
                """
                PUT %s HTTP/1.1\r
                Host: localhost\r
                Content-Type: application/octet-stream\r
                Content-Length: %d\r
                \r
                """
                        .formatted(state(mdev), saved.length);
        try (Socket socket = open(head)) {
            OutputStream out = socket.getOutputStream();
            InputStream in = socket.getInputStream();
            int sent = saved.length / 2;
            out.write(saved, 0, sent);

            // The service answers while the client still sends.
            while (in.available() == 0 && sent < saved.length - 1 && drips(out, saved[sent])) {
                sent++;
                LockSupport.parkNanos(Duration.ofMillis(20).toNanos());
            }

            byte[] first = new byte[4096];
            String answer =
                    new String(first, 0, Math.max(in.read(first), 0), StandardCharsets.UTF_8);
            assertThat(answer).startsWith("HTTP/1.1 504");
            assertThat(answer).containsIgnoringCase("connection: close");
            assertThat(answer).contains("timed-out").contains("mdev.web.max-transfer");
        }
        Answer read = api.run("vm1", STEP.formatted("check", mdev, 1));
        assertThat(read.numberAt("/steps/0/mismatches")).as("it is as new").isEqualTo(1);
        api.post("/api/v1/mdevs/%s/reset".formatted(mdev), "").requireStatus(204);
    }

    /// @return whether the service still takes bytes: after its answer, it closes the connection
    private static boolean drips(OutputStream out, byte one) {
        try {
            out.write(one);
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    @Test
    void aChunkedStateIsTakenAndOneThatSaysMoreThanItsContentIsNot() throws IOException {
        UUID mdev = filled("gpu-sample-16m", 3);
        byte[] saved = api.bytes(state(mdev)).body();
        String size = Integer.toHexString(saved.length);

        assertThat(putChunk(mdev, size, saved, "")).startsWith("HTTP/1.1 204");
        String more = "x".repeat(40);
        assertThat(putChunk(mdev, size + ";" + more, saved, "")).startsWith("HTTP/1.1 400");
        assertThat(putChunk(mdev, "0", new byte[0], "A: " + more + "\r\n"))
                .startsWith("HTTP/1.1 400")
                .doesNotContain("truncated state");
    }

    private String putChunk(UUID mdev, String header, byte[] content, String trailer)
            throws IOException {
        String head =
                """
                PUT %s HTTP/1.1\r
                Host: localhost\r
                Connection: close\r
                Content-Type: application/octet-stream\r
                Transfer-Encoding: chunked\r
                \r
                %s\r
                """
                        .formatted(state(mdev), header);
        String tail = (content.length == 0 ? "" : "\r\n0\r\n") + trailer + "\r\n";
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.writeBytes(head.getBytes(StandardCharsets.US_ASCII));
        all.writeBytes(content);
        all.writeBytes(tail.getBytes(StandardCharsets.US_ASCII));
        try (Socket socket = open("")) {
            // At once: a service that refuses the beginning does not take the rest.
            socket.getOutputStream().write(all.toByteArray());
            byte[] first = new byte[4096];
            return new String(
                    first,
                    0,
                    Math.max(socket.getInputStream().read(first), 0),
                    StandardCharsets.UTF_8);
        }
    }

    /// Reads until the service has cut the connection.
    private static void drain(InputStream in) {
        try {
            in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("reset");
        }
    }

    @Test
    void aClientThatTakesAStateSlowlyLosesItAndTheDeviceGoesOn(CapturedOutput output)
            throws IOException {
        int from = output.toString().length();
        // More than the sockets' buffers hold.
        UUID mdev = filled("gpu-sample-64m", 15_000);
        String head = "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n".formatted(state(mdev));
        try (Socket socket = new Socket()) {
            socket.setReceiveBufferSize(4096);
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port()));
            socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
            InputStream in = socket.getInputStream();
            assertThat(in.read()).isEqualTo('H');
            api.post("/api/v1/mdevs/%s/reset".formatted(mdev), "")
                    .requireProblem(503, "unavailable");

            while (api.post("/api/v1/mdevs/%s/reset".formatted(mdev), "").status() == 503) {
                // Fast enough for the container, which drops idle clients.
                var _ = in.readNBytes(1 << 14);
                LockSupport.parkNanos(Duration.ofMillis(5).toNanos());
            }

            drain(in);
            assertThat(output.toString().substring(from))
                    .contains("a response ends early")
                    .contains("mdev.web.max-transfer")
                    .doesNotContain(" ERROR ")
                    .doesNotContain("\tat ");
        }
        api.run("vm1", STEP.formatted("write", mdev, 1)).requireStatus(200);
    }

    @Test
    void aClientThatLeavesInTheMiddleIsALineInTheLogAndNoError(CapturedOutput output)
            throws IOException {
        int from = output.toString().length();
        UUID mdev = filled("gpu-sample-64m", 15_000);
        String head = "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n".formatted(state(mdev));
        try (Socket socket = open(head)) {
            assertThat(socket.getInputStream().read()).isEqualTo('H');
        }

        while (!output.toString().substring(from).contains("a client left in the middle")) {
            LockSupport.parkNanos(Duration.ofMillis(5).toNanos());
        }
        // The next holder of the device comes after all reports of the last one.
        api.run("vm1", STEP.formatted("write", mdev, 1)).requireStatus(200);
        assertThat(output.toString().substring(from).lines())
                // A driver may be slow on a busy host: that is not the client's fault.
                .filteredOn(line -> !line.contains("CALLBACK_SLOW"))
                .anyMatch(line -> line.contains("a client left in the middle: " + state(mdev)))
                .noneMatch(line -> line.contains(" ERROR "))
                .noneMatch(line -> line.contains(" WARN "))
                .noneMatch(line -> line.contains("\tat "));
    }
}
