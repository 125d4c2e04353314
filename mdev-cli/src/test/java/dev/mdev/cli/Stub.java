package dev.mdev.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/// A server that plays recorded answers.
final class Stub implements AutoCloseable {
    static final String JSON = "application/json";
    static final String PROBLEM = "application/problem+json";

    private record Reply(int status, String type, ByteBuffer body) {}

    private static final Reply NOT_FOUND =
            new Reply(404, PROBLEM, ByteBuffer.wrap("{\"code\":\"not-found\"}".getBytes(UTF_8)));

    private final Map<String, List<Reply>> replies = new ConcurrentHashMap<>();
    private final List<String> requests = new CopyOnWriteArrayList<>();
    private final List<String> lastEventIds = new CopyOnWriteArrayList<>();
    private final List<String> preferences = new CopyOnWriteArrayList<>();
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final HttpServer server;

    Stub() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::answer);
        server.setExecutor(threads);
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    /// Adds an answer to a request; the last one is repeated.
    ///
    /// @param request such as `GET /api/v1/mdevs`
    Stub on(String request, int status, String type, String body) {
        return on(request, status, type, body.getBytes(UTF_8));
    }

    Stub on(String request, int status, String type, byte[] body) {
        replies.computeIfAbsent(request, _ -> new CopyOnWriteArrayList<>())
                .add(new Reply(status, type, ByteBuffer.wrap(body)));
        return this;
    }

    Stub onGet(String path, String json) {
        return on("GET /api/v1/" + path, 200, JSON, json);
    }

    /// The requests so far, with their bodies.
    List<String> requests() {
        return requests;
    }

    /// Where the requests said that they resume; empty for those that do not.
    List<String> lastEventIds() {
        return lastEventIds;
    }

    /// What the requests said in `Prefer`; nothing of those that did not.
    List<String> preferences() {
        return preferences;
    }

    private void answer(HttpExchange exchange) throws IOException {
        String request = exchange.getRequestMethod() + " " + exchange.getRequestURI();
        String body = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
        lastEventIds.add(
                Objects.requireNonNullElse(
                        exchange.getRequestHeaders().getFirst("Last-Event-ID"), ""));
        preferences.addAll(exchange.getRequestHeaders().getOrDefault("Prefer", List.of()));
        requests.add(body.isEmpty() ? request : request + " " + body);
        List<Reply> known = replies.getOrDefault(request, List.of());
        Reply reply =
                known.isEmpty() ? NOT_FOUND : known.size() == 1 ? known.get(0) : known.remove(0);
        exchange.getResponseHeaders().set("Content-Type", reply.type);
        exchange.sendResponseHeaders(
                reply.status, reply.body.hasRemaining() ? reply.body.remaining() : -1);
        Channels.newChannel(exchange.getResponseBody()).write(reply.body.duplicate());
        exchange.close();
    }

    @Override
    public void close() {
        server.stop(0);
        threads.close();
    }
}
