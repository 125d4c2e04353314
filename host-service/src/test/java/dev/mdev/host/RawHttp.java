package dev.mdev.host;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.gate.Deadlines;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.MissingNode;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.http.HttpHeaders;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// A client that sends any text as a path and as a body. It speaks HTTP/1.0, whose answers end with
/// the connection.
final class RawHttp {
    private RawHttp() {}

    static Answer send(
            int port, String method, String path, Map<String, String> headers, String body)
            throws IOException {
        StringBuilder request = new StringBuilder();
        request.append("%s %s HTTP/1.0\r\nHost: localhost\r\n".formatted(method, path));
        headers.forEach((name, value) -> request.append("%s: %s\r\n".formatted(name, value)));
        byte[] bytes = body.getBytes(UTF_8);
        if (bytes.length > 0) {
            request.append("Content-Length: %d\r\n".formatted(bytes.length));
        }
        request.append("\r\n").append(body);
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setSoTimeout((int) Deadlines.HANG.toMillis());
            socket.getOutputStream().write(request.toString().getBytes(UTF_8));
            return parse(new String(socket.getInputStream().readAllBytes(), UTF_8));
        }
    }

    private static Answer parse(String text) throws IOException {
        int end = text.indexOf("\r\n\r\n");
        if (!text.startsWith("HTTP/1.1 ") || end < 0) {
            throw new IOException("no answer: " + text);
        }
        Map<String, List<String>> headers = new TreeMap<>();
        String[] lines = text.substring(0, end).split("\r\n", -1);
        for (int i = 1; i < lines.length; i++) {
            String[] parts = lines[i].split(": ?", 2);
            headers.computeIfAbsent(parts[0], _ -> new ArrayList<>()).add(parts[1]);
        }
        HttpHeaders known = HttpHeaders.of(headers, (_, _) -> true);
        String body = text.substring(end + 4);
        JsonNode json =
                known.firstValue("Content-Type").orElse("").contains("json") && !body.isEmpty()
                        ? JsonMapper.shared().readTree(body)
                        : MissingNode.getInstance();
        return new Answer(Integer.parseInt(lines[0].substring(9, 12)), known, body, json);
    }
}
