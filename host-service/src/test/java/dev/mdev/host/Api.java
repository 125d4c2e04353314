package dev.mdev.host;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.gate.Deadlines;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.MissingNode;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// A client of the service.
final class Api implements AutoCloseable {
    static final String JSON = "application/json";

    private static final JsonMapper MAPPER = JsonMapper.shared();

    private final HttpClient http = HttpClient.newHttpClient();
    private final URI root;

    Api(int port) {
        this(URI.create("http://127.0.0.1:" + port));
    }

    Api(URI root) {
        this.root = root;
    }

    Answer get(String path) {
        return send("GET", path, "", Map.of());
    }

    Answer post(String path, String json) {
        return send("POST", path, json, Map.of("Content-Type", JSON));
    }

    Answer put(String path, String json) {
        return send("PUT", path, json, Map.of("Content-Type", JSON));
    }

    Answer patch(String path, String json) {
        return send("PATCH", path, json, Map.of("Content-Type", "application/merge-patch+json"));
    }

    Answer delete(String path) {
        return send("DELETE", path, "", Map.of());
    }

    Answer send(String method, String path, String body, Map<String, String> headers) {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(root.resolve(path))
                        .timeout(Deadlines.HANG)
                        .method(
                                method,
                                body.isEmpty()
                                        ? HttpRequest.BodyPublishers.noBody()
                                        : HttpRequest.BodyPublishers.ofString(body));
        headers.forEach(request::header);
        return send(request.build());
    }

    /// The bytes at a path.
    HttpResponse<byte[]> bytes(String path) {
        HttpRequest request =
                HttpRequest.newBuilder(root.resolve(path)).timeout(Deadlines.HANG).build();
        return bytes(request);
    }

    private HttpResponse<byte[]> bytes(HttpRequest request) {
        try {
            return http.send(request, HttpResponse.BodyHandlers.ofByteArray());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /// Sends bytes.
    Answer putBytes(String path, byte[] body) {
        return send(
                HttpRequest.newBuilder(root.resolve(path))
                        .timeout(Deadlines.HANG)
                        .header("Content-Type", "application/octet-stream")
                        .PUT(HttpRequest.BodyPublishers.ofByteArray(body))
                        .build());
    }

    Answer send(HttpRequest request) {
        HttpResponse<byte[]> response = bytes(request);
        String text = textOf(response);
        return new Answer(response.statusCode(), response.headers(), text, jsonOf(response, text));
    }

    /// The body if it is text; otherwise a description: failures print it.
    private static String textOf(HttpResponse<byte[]> response) {
        String type = typeOf(response);
        return type.startsWith("text/") || type.contains("json") || response.body().length == 0
                ? new String(response.body(), UTF_8)
                : "[%s, %s]".formatted(type, Digest.of(response.body()));
    }

    private static JsonNode jsonOf(HttpResponse<byte[]> response, String text) {
        return typeOf(response).contains("json") && !text.isEmpty()
                ? MAPPER.readTree(text)
                : MissingNode.getInstance();
    }

    private static String typeOf(HttpResponse<byte[]> response) {
        return response.headers().firstValue("Content-Type").orElse("");
    }

    /// The words of the `items` of a list, at a pointer within each.
    List<String> namesOf(String path, String pointer) {
        List<String> names = new ArrayList<>();
        get(path)
                .requireStatus(200)
                .body()
                .at("/items")
                .forEach(item -> names.add(item.at(pointer).asString()));
        return names;
    }

    /// Polls until an event of a kind has come after event `after`.
    void awaitEvent(long after, String kind) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (!namesOf("/api/v1/events?limit=1000&after=" + after, "/kind").contains(kind)) {
            if (System.nanoTime() - end > 0) {
                throw new AssertionError("no event " + kind);
            }
        }
    }

    /// Creates a device and returns its uuid.
    UUID createMdev(String parent, String type) {
        String json = "{\"parent\":\"%s\",\"type\":\"%s\"}".formatted(parent, type);
        return UUID.fromString(post("/api/v1/mdevs", json).requireStatus(201).at("/uuid"));
    }

    /// Creates a machine with some devices in it.
    void createMachine(String name, UUID... devices) {
        post("/api/v1/machines", "{\"name\":\"%s\",\"ramMib\":1,\"vcpus\":2}".formatted(name))
                .requireStatus(201);
        for (UUID device : devices) {
            put("/api/v1/machines/%s/devices/%s".formatted(name, device), "").requireStatus(201);
        }
    }

    /// Executes a program on a machine's first processor.
    Answer run(String machine, String program) {
        return post("/api/v1/machines/%s/vcpus/0/programs".formatted(machine), program);
    }

    /// Removes all machines, then all devices.
    void removeEverything() {
        for (String machine : namesOf("/api/v1/machines", "/name")) {
            delete("/api/v1/machines/" + machine).requireStatus(204);
        }
        for (String uuid : namesOf("/api/v1/mdevs", "/uuid")) {
            delete("/api/v1/mdevs/" + uuid).requireStatus(204);
        }
    }

    @Override
    public void close() {
        http.close();
    }
}
