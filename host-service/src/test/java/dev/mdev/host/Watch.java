package dev.mdev.host;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.gate.Deadlines;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/// A client of server-sent events that reads line by line (WHATWG HTML, section 9.2). Chunks of the
/// transfer are of whole lines, so that lines that begin like none of an event are lengths of
/// chunks.
final class Watch implements AutoCloseable {
    private final Socket socket;
    private final BufferedReader in;
    private final int status;

    private Watch(Socket socket, BufferedReader in) throws IOException {
        this.socket = socket;
        this.in = in;
        this.status = Integer.parseInt(line().substring("HTTP/1.1 ".length()).strip());
        String header;
        do {
            header = line();
        } while (!header.isEmpty());
    }

    /// A message.
    ///
    /// @param name its type; empty for an event
    /// @param id empty if it has none
    record Message(String name, String id, String data) {
        JsonNode json() {
            return JsonMapper.shared().readTree(data);
        }
    }

    /// Reads on until the server closes the connection, which a header asked for.
    void awaitEnd() {
        try {
            while (in.readLine() != null) {}
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Watch open(int port, String path, String... headers) {
        try {
            Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
            socket.setSoTimeout((int) Deadlines.HANG.toMillis());
            StringBuilder request = new StringBuilder("GET " + path + " HTTP/1.1\r\n");
            request.append("Host: localhost\r\nAccept: text/event-stream\r\n");
            for (int i = 0; i < headers.length; i += 2) {
                request.append(headers[i]).append(": ").append(headers[i + 1]).append("\r\n");
            }
            socket.getOutputStream().write(request.append("\r\n").toString().getBytes(UTF_8));
            return new Watch(
                    socket,
                    new BufferedReader(new InputStreamReader(socket.getInputStream(), UTF_8)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    int status() {
        return status;
    }

    private String line() throws IOException {
        String line = in.readLine();
        if (line == null) {
            throw new IOException("the stream has ended");
        }
        return line;
    }

    /// The next message with data.
    Message next() {
        while (true) {
            Message message = block();
            if (!message.data.isEmpty()) {
                return message;
            }
        }
    }

    /// The id of a heartbeat that differs from the given one.
    String heartbeatAfter(String id) {
        while (true) {
            Message message = block();
            if (message.data.isEmpty() && !message.id.equals(id) && !message.id.isEmpty()) {
                return message.id;
            }
        }
    }

    private Message block() {
        List<String> lines = new ArrayList<>();
        try {
            while (true) {
                String line = line();
                if (line.indexOf(':') >= 0) {
                    lines.add(line);
                } else if (line.isEmpty() && !lines.isEmpty()) {
                    return new Message(
                            field(lines, "event"), field(lines, "id"), field(lines, "data"));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String field(List<String> lines, String name) {
        return lines.stream()
                .filter(line -> line.startsWith(name + ":"))
                .map(line -> line.substring(name.length() + 1))
                .findFirst()
                .orElse("");
    }

    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
