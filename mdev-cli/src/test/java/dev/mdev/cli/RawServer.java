package dev.mdev.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;

/// A server that answers each request with bytes that need not be HTTP.
final class RawServer implements AutoCloseable {
    /// Writes the answer.
    interface Answer {
        void write(OutputStream to, CountDownLatch end) throws IOException, InterruptedException;
    }

    /// The beginning of a device's state, and five of its bytes.
    static final byte[] BEGINNING =
            String.join(
                            "\r\n",
                            "HTTP/1.1 200 OK",
                            "Content-Type: application/octet-stream",
                            "Transfer-Encoding: chunked",
                            "",
                            "5",
                            "hello",
                            "")
                    .getBytes(StandardCharsets.US_ASCII);

    private final ServerSocket socket = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
    private final CountDownLatch end = new CountDownLatch(1);

    RawServer(Answer answer) throws IOException {
        Thread.ofVirtual()
                .start(() -> {
                    while (!socket.isClosed()) {
                        try {
                            Socket client = socket.accept();
                            Thread.ofVirtual().start(() -> serve(client, answer));
                        } catch (IOException e) {
                            return;
                        }
                    }
                });
    }

    private void serve(Socket client, Answer answer) {
        try (client) {
            BufferedReader in =
                    new BufferedReader(
                            new InputStreamReader(
                                    client.getInputStream(), StandardCharsets.ISO_8859_1));
            String line;
            do {
                line = in.readLine();
            } while (line != null && !line.isEmpty());
            answer.write(client.getOutputStream(), end);
            client.getOutputStream().flush();
        } catch (IOException e) {
            return;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    String url() {
        return "http://127.0.0.1:" + socket.getLocalPort();
    }

    @Override
    public void close() throws IOException {
        end.countDown();
        socket.close();
    }
}
