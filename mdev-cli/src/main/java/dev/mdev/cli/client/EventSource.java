package dev.mdev.cli.client;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;

import org.jspecify.annotations.Nullable;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// Reads server-sent events (WHATWG HTML, section 9.2). If the connection ends, it connects again
/// for as long as the endpoint's timeout, and resumes after the last message.
public final class EventSource {
    private static final String TYPE = "text/event-stream";
    private static final String LAST_ID = "Last-Event-ID";

    /// The longest line: the largest event has a few kilobytes.
    private static final int MAX_LINE_BYTES = 1 << 20;

    /// A service sends a heartbeat in less time.
    private static final Duration SILENCE = Duration.ofSeconds(60);

    private static final Duration PAUSE = Duration.ofMillis(500);

    private final Service service;

    /// Never: only time and the end of the process end a pause.
    private final CountDownLatch closed = new CountDownLatch(1);

    private String lastId = "";

    public EventSource(Service service) {
        this.service = service;
    }

    /// A message.
    ///
    /// @param name its type; empty for a plain message
    /// @param id the place in the stream after it
    public record Message(String name, String id, String data) {}

    /// Takes messages.
    @FunctionalInterface
    public interface Receiver {
        /// @return whether to go on
        boolean receive(Message message);
    }

    /// Reads until the receiver has enough.
    ///
    /// @throws Failure if there is no service, or it has no such stream
    public void read(ApiPath path, Receiver receiver) {
        boolean goOn = read(connect(path), receiver);
        while (goOn) {
            goOn = read(reconnect(path), receiver);
        }
    }

    private HttpResponse<InputStream> reconnect(ApiPath path) {
        long end = System.nanoTime() + service.endpoint().timeout().toNanos();
        while (true) {
            pause();
            try {
                return connect(path);
            } catch (Failure e) {
                if (e.code() != ExitCode.UNREACHABLE || System.nanoTime() - end > 0) {
                    throw e;
                }
            }
        }
    }

    private void pause() {
        try {
            var _ = closed.await(PAUSE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Failure(ExitCode.FAILED, "interrupted");
        }
    }

    private HttpResponse<InputStream> connect(ApiPath path) {
        HttpRequest.Builder request = service.request(path).header("Accept", TYPE);
        if (!lastId.isEmpty()) {
            request.header(LAST_ID, lastId);
        }
        HttpResponse<InputStream> response =
                service.await(
                        service.http()
                                .sendAsync(
                                        request.build(), HttpResponse.BodyHandlers.ofInputStream()),
                        service.endpoint().timeout());
        if (response.statusCode() != 200) {
            throw Problems.of(response.statusCode(), response.headers(), errorOf(response.body()));
        }
        String found = response.headers().firstValue("Content-Type").orElse("no type");
        if (!found.startsWith(TYPE)) {
            throw Problems.stranger("status 200 with " + found);
        }
        return response;
    }

    private static byte[] errorOf(InputStream body) {
        try (body) {
            return body.readNBytes(Service.MAX_ERROR_BYTES);
        } catch (IOException _) {
            return new byte[0];
        }
    }

    /// @return whether the receiver wants more: the connection has ended
    private boolean read(HttpResponse<InputStream> response, Receiver receiver) {
        try (InputStream in = new BufferedInputStream(response.body());
                Watchdog watchdog = new Watchdog(in)) {
            return readMessages(in, watchdog, receiver);
        } catch (IOException _) {
            return true;
        }
    }

    private boolean readMessages(InputStream in, Watchdog watchdog, Receiver receiver)
            throws IOException {
        String name = "";
        String id = lastId;
        StringBuilder data = new StringBuilder();
        while (true) {
            String line = line(in);
            if (line == null) {
                return true;
            }
            watchdog.feed();
            if (line.startsWith("data:")) {
                data.append(data.isEmpty() ? "" : "\n").append(value(line, "data:"));
                if (data.length() > MAX_LINE_BYTES) {
                    throw Problems.stranger("too long an event");
                }
            } else if (line.startsWith("event:")) {
                name = value(line, "event:");
            } else if (line.startsWith("id:")) {
                id = value(line, "id:");
            } else if (line.isEmpty()) {
                lastId = id;
                if (!data.isEmpty() && !receiver.receive(new Message(name, id, data.toString()))) {
                    return false;
                }
                name = "";
                data.setLength(0);
            }
        }
    }

    private static String value(String line, String field) {
        String value = line.substring(field.length());
        return value.startsWith(" ") ? value.substring(1) : value;
    }

    private static @Nullable String line(InputStream in) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        while (true) {
            int one = in.read();
            if (one < 0) {
                return null;
            }
            if (one == '\n') {
                return line.toString(StandardCharsets.UTF_8);
            }
            if (line.size() == MAX_LINE_BYTES) {
                throw Problems.stranger("a line of more than %d bytes".formatted(MAX_LINE_BYTES));
            }
            if (one != '\r') {
                line.write(one);
            }
        }
    }

    /// Closes a stream that is silent.
    private static final class Watchdog implements AutoCloseable {
        private final CompletableFuture<Void> end = new CompletableFuture<>();
        private volatile long lastNanos = System.nanoTime();

        Watchdog(InputStream in) {
            Thread.ofVirtual().start(() -> watch(in));
        }

        void feed() {
            lastNanos = System.nanoTime();
        }

        private void watch(InputStream in) {
            while (!end.isDone()) {
                var _ = end.copy().completeOnTimeout(null, 1, TimeUnit.SECONDS).join();
                if (System.nanoTime() - lastNanos > SILENCE.toNanos()) {
                    try {
                        in.close();
                    } catch (IOException _) {
                        return;
                    }
                    return;
                }
            }
        }

        @Override
        public void close() {
            end.complete(null);
        }
    }
}
