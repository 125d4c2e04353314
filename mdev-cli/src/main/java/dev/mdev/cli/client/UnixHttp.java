package dev.mdev.cli.client;

import org.jspecify.annotations.Nullable;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Authenticator;
import java.net.CookieHandler;
import java.net.ProxySelector;
import java.net.StandardProtocolFamily;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;

import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;

/// HTTP/1.1 over a Unix socket, which Java's own client does not speak. Each call has a connection
/// of its own.
final class UnixHttp extends HttpClient {
    static final int PART_BYTES = 16384;

    private final Path socket;

    UnixHttp(Path socket) {
        this.socket = socket;
    }

    @Override
    public <T> CompletableFuture<HttpResponse<T>> sendAsync(
            HttpRequest request, HttpResponse.BodyHandler<T> handler) {
        CompletableFuture<HttpResponse<T>> answer = new CompletableFuture<>();
        Thread.ofVirtual()
                .start(() -> {
                    try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
                        // A cancelled call ends its connection.
                        var _ =
                                answer.whenComplete((_, thrown) -> {
                                    if (thrown != null) {
                                        closeQuietly(channel);
                                    }
                                });
                        channel.connect(UnixDomainSocketAddress.of(socket));
                        exchange(request, handler, channel, answer);
                    } catch (IOException | RuntimeException e) {
                        answer.completeExceptionally(e);
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                        answer.completeExceptionally(e);
                    }
                });
        return answer;
    }

    private static void closeQuietly(SocketChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            // The call has failed already.
            return;
        }
    }

    private static <T> void exchange(
            HttpRequest request,
            HttpResponse.BodyHandler<T> handler,
            SocketChannel channel,
            CompletableFuture<HttpResponse<T>> answer)
            throws IOException, InterruptedException {
        IOException sending = null;
        try {
            send(request, channel);
        } catch (IOException e) {
            // A service that refuses a body answers before it has read all of it.
            sending = e;
        }
        InputStream in = new BufferedInputStream(Channels.newInputStream(channel), PART_BYTES);
        UnixAnswer.Head head;
        try {
            head = UnixAnswer.Head.read(in);
        } catch (IOException e) {
            throw sending == null ? e : sending;
        }
        HttpResponse.BodySubscriber<T> subscriber = handler.apply(head);
        subscriber
                .getBody()
                .whenComplete((body, thrown) -> {
                    if (thrown == null) {
                        answer.complete(new UnixAnswer.Answer<>(request, head, body));
                    } else {
                        answer.completeExceptionally(thrown);
                    }
                });
        new UnixBody.Pump(head.bodyOf(in), subscriber).run();
    }

    private static void send(HttpRequest request, SocketChannel channel)
            throws IOException, InterruptedException {
        URI uri = request.uri();
        String path =
                uri.getRawQuery() == null
                        ? uri.getRawPath()
                        : uri.getRawPath() + "?" + uri.getRawQuery();
        StringBuilder head = new StringBuilder();
        head.append(request.method()).append(' ').append(path).append(" HTTP/1.1\r\n");
        head.append("Host: localhost\r\nConnection: close\r\n");
        request.headers()
                .map()
                .forEach((name, values) ->
                        values.forEach(value ->
                                head.append(name).append(": ").append(value).append("\r\n")));
        HttpRequest.BodyPublisher body = request.bodyPublisher().orElse(null);
        long length = body == null ? 0 : body.contentLength();
        if (body != null) {
            head.append(
                    length < 0
                            ? "Transfer-Encoding: chunked\r\n"
                            : "Content-Length: " + length + "\r\n");
        }
        write(channel, ByteBuffer.wrap((head + "\r\n").getBytes(StandardCharsets.ISO_8859_1)));
        if (body != null && length != 0) {
            UnixBody.Upload upload = new UnixBody.Upload(channel, length < 0);
            body.subscribe(upload);
            upload.await();
        }
    }

    static void write(SocketChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    @Override
    public <T> HttpResponse<T> send(HttpRequest request, HttpResponse.BodyHandler<T> handler)
            throws IOException, InterruptedException {
        try {
            return sendAsync(request, handler).get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof IOException cause ? cause : new IOException(e.getCause());
        }
    }

    @Override
    public <T> CompletableFuture<HttpResponse<T>> sendAsync(
            HttpRequest request,
            HttpResponse.BodyHandler<T> handler,
            HttpResponse.@Nullable PushPromiseHandler<T> pushes) {
        return sendAsync(request, handler);
    }

    @Override
    public Optional<CookieHandler> cookieHandler() {
        return Optional.empty();
    }

    @Override
    public Optional<Duration> connectTimeout() {
        return Optional.empty();
    }

    @Override
    public Redirect followRedirects() {
        return Redirect.NEVER;
    }

    @Override
    public Optional<ProxySelector> proxy() {
        return Optional.empty();
    }

    @Override
    public SSLContext sslContext() {
        return new NoTls();
    }

    @Override
    public SSLParameters sslParameters() {
        return new SSLParameters();
    }

    @Override
    public Optional<Authenticator> authenticator() {
        return Optional.empty();
    }

    @Override
    public Version version() {
        return Version.HTTP_1_1;
    }

    @Override
    public Optional<Executor> executor() {
        return Optional.empty();
    }
}
