package dev.mdev.cli.client;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Units;

import org.jspecify.annotations.Nullable;

import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.MissingNode;

import java.io.IOException;
import java.net.ConnectException;
import java.net.ProtocolException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import javax.net.ssl.SSLException;

/// The service at an endpoint.
///
/// Every call ends within the endpoint's timeout plus the time that the call itself asks for, with
/// an answer or a [Failure].
public final class Service implements AutoCloseable {
    /// More than the largest list that a service has: 32768 definitions.
    private static final int MAX_ANSWER_BYTES = 64 << 20;

    /// More than the largest list has, in the parts that the service chooses.
    private static final int MAX_PARTS = 100;

    /// The most of an error that is read.
    static final int MAX_ERROR_BYTES = 1 << 20;

    private static final String JSON = "application/json";
    private static final String TEXT = "text/plain";
    private static final int NO_CONTENT = 204;

    private static final JsonMapper MAPPER =
            JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    private final Endpoint endpoint;
    private final HttpClient http;

    public Service(Endpoint endpoint) {
        this.endpoint = endpoint;
        this.http = endpoint.socket().<HttpClient>map(UnixHttp::new).orElseGet(() -> tcp(endpoint));
    }

    private static HttpClient tcp(Endpoint endpoint) {
        HttpClient.Builder builder =
                HttpClient.newBuilder()
                        .version(HttpClient.Version.HTTP_1_1)
                        .followRedirects(HttpClient.Redirect.NEVER)
                        .proxy(HttpClient.Builder.NO_PROXY)
                        .connectTimeout(endpoint.timeout());
        if (endpoint.isPlain()) {
            builder.sslContext(new NoTls());
        } else {
            endpoint.authorities().map(Authorities::contextOf).ifPresent(builder::sslContext);
        }
        return builder.build();
    }

    public Endpoint endpoint() {
        return endpoint;
    }

    public JsonNode get(ApiPath path) {
        return call("GET", path, null, Duration.ZERO);
    }

    /// Reads all parts of a list.
    ///
    /// @return an object with its `items`
    /// @throws Failure as [#call]
    public JsonNode list(ApiPath path) {
        return list(path, null);
    }

    /// The same from a place on.
    ///
    /// @param after the place; null for the beginning
    public JsonNode list(ApiPath path, @Nullable String after) {
        ArrayNode items = MAPPER.createArrayNode();
        ApiPath part = after == null ? path : path.with("after", after);
        for (int i = 0; i < MAX_PARTS; i++) {
            JsonNode answer = get(part);
            items.addAll(answer.path("items").valueStream().toList());
            JsonNode next = answer.path("next");
            if (!next.isString()) {
                return MAPPER.createObjectNode().set("items", items);
            }
            part = path.with("after", next.asString());
        }
        throw Problems.stranger("a list of more than %d parts".formatted(MAX_PARTS));
    }

    public JsonNode post(ApiPath path, @Nullable JsonNode body) {
        return call("POST", path, body, Duration.ZERO);
    }

    public JsonNode put(ApiPath path, @Nullable JsonNode body) {
        return call("PUT", path, body, Duration.ZERO);
    }

    /// Sends a JSON merge patch (RFC 7396).
    public JsonNode patch(ApiPath path, JsonNode patch) {
        return call("PATCH", path, patch, Duration.ZERO);
    }

    public JsonNode delete(ApiPath path) {
        return call("DELETE", path, null, Duration.ZERO);
    }

    /// Calls the service.
    ///
    /// @param more how long the call may take beyond the timeout, because it asks the service to
    ///   wait
    /// @return the answer; a missing node if it has no content
    /// @throws Failure if there is no answer, if it is an error, or if it is not JSON
    public JsonNode call(String method, ApiPath path, @Nullable JsonNode body, Duration more) {
        HttpRequest.Builder request = request(path).header("Accept", JSON);
        if (body == null) {
            request.method(method, HttpRequest.BodyPublishers.noBody());
        } else {
            request.header("Content-Type", JSON)
                    .method(method, HttpRequest.BodyPublishers.ofString(body.toString()));
        }
        return jsonOf(send(request.build(), more));
    }

    /// Begins work that goes on in the service (RFC 7240).
    ///
    /// @return the operation
    /// @throws Failure as [#call]
    public JsonNode begin(String method, ApiPath path) {
        return jsonOf(
                send(
                        request(path)
                                .header("Accept", JSON)
                                .header("Prefer", "respond-async")
                                .method(method, HttpRequest.BodyPublishers.noBody())
                                .build(),
                        Duration.ZERO));
    }

    /// Sends a document.
    ///
    /// @param type its media type
    /// @return as [#call]
    /// @throws Failure as [#call]
    public JsonNode send(String method, ApiPath path, String type, byte[] document) {
        return jsonOf(
                send(
                        request(path)
                                .header("Accept", JSON)
                                .header("Content-Type", type)
                                .method(method, HttpRequest.BodyPublishers.ofByteArray(document))
                                .build(),
                        Duration.ZERO));
    }

    /// Reads a text.
    ///
    /// @throws Failure as [#call]
    public String text(ApiPath path) {
        HttpResponse<byte[]> response =
                send(request(path).header("Accept", TEXT).build(), Duration.ZERO);
        requireSuccess(response, TEXT);
        return new String(response.body(), StandardCharsets.UTF_8);
    }

    private HttpResponse<byte[]> send(HttpRequest request, Duration more) {
        return await(
                http.sendAsync(
                        request,
                        HttpResponse.BodyHandlers.limiting(
                                HttpResponse.BodyHandlers.ofByteArray(), MAX_ANSWER_BYTES)),
                endpoint.timeout().plus(more));
    }

    HttpRequest.Builder request(ApiPath path) {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create(endpoint.root() + path.toString()));
        endpoint.token().ifPresent(it -> request.header("Authorization", "Bearer " + it));
        return request;
    }

    HttpClient http() {
        return http;
    }

    private static void requireSuccess(HttpResponse<byte[]> response, String type) {
        int status = response.statusCode();
        if (status < 200 || status > 299) {
            throw Problems.of(response);
        }
        String found = response.headers().firstValue("Content-Type").orElse("no type");
        if (status != NO_CONTENT && !found.startsWith(type)) {
            throw Problems.stranger("status %d with %s".formatted(status, found));
        }
    }

    private static JsonNode jsonOf(HttpResponse<byte[]> response) {
        requireSuccess(response, JSON);
        if (response.statusCode() == NO_CONTENT) {
            return MissingNode.getInstance();
        }
        return json(new String(response.body(), StandardCharsets.UTF_8));
    }

    /// Reads an object of the service.
    ///
    /// @throws Failure if it is none
    public static JsonNode json(String text) {
        try {
            JsonNode answer = MAPPER.readTree(text);
            if (!answer.isObject()) {
                throw Problems.stranger("JSON, but not an object");
            }
            return answer;
        } catch (JacksonException e) {
            throw Problems.stranger("malformed JSON of %d characters".formatted(text.length()));
        }
    }

    <T> T await(CompletableFuture<T> answer, Duration limit) {
        try {
            return answer.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            answer.cancel(true);
            throw noAnswerWithin(limit);
        } catch (ExecutionException e) {
            throw failureOf(e.getCause());
        } catch (InterruptedException e) {
            answer.cancel(true);
            Thread.currentThread().interrupt();
            throw new Failure(ExitCode.FAILED, "interrupted");
        }
    }

    Failure noAnswerWithin(Duration limit) {
        return new Failure(
                ExitCode.UNREACHABLE,
                "no answer of %s within %s".formatted(endpoint.name(), Units.text(limit)),
                "see whether the service is busy, or give it more time: --timeout 2m");
    }

    /// The failure that a cause of the HTTP client means.
    Failure failureOf(@Nullable Throwable cause) {
        String root = endpoint.name();
        return switch (cause) {
            case HttpConnectTimeoutException _ ->
                    unreachable("no connection to %s in time".formatted(root));
            case ConnectException e ->
                    unreachable(
                            "cannot connect to %s%s"
                                    .formatted(
                                            root,
                                            e.getMessage() == null ? "" : ": " + e.getMessage()));
            case SSLException e ->
                    new Failure(
                            ExitCode.UNREACHABLE,
                            "no TLS with %s: %s".formatted(root, e.getMessage()),
                            "see whether it speaks https, and under which name; ca-file in the"
                                    + " profile names who signs its certificate");
            case ProtocolException _ -> Problems.stranger("no HTTP");
            case IOException e when String.valueOf(e.getMessage()).contains("exceeds") ->
                    Problems.stranger("more than %d bytes".formatted(MAX_ANSWER_BYTES));
            case IOException _ ->
                    unreachable(
                            "the connection to %s broke before the answer's end".formatted(root));
            case null, default ->
                    new Failure(ExitCode.FAILED, "cannot call %s: %s".formatted(root, cause));
        };
    }

    private static Failure unreachable(String what) {
        return new Failure(
                ExitCode.UNREACHABLE,
                what,
                "see whether it runs there: bin/mdev-host starts one, --url names another");
    }

    /// Drops all connections.
    @Override
    public void close() {
        http.shutdownNow();
    }
}
