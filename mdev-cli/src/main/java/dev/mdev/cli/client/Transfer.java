package dev.mdev.cli.client;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;

/// Transfers of bytes to and from the service. They may take long; one that does not advance for
/// the endpoint's timeout fails.
public final class Transfer {
    /// How often somebody hears of the progress.
    private static final Duration STEP = Duration.ofSeconds(1);

    private final Service service;
    private final LongConsumer onProgress;

    /// @param onProgress hears from time to time how many bytes have been transferred, on the
    ///   caller's thread
    public Transfer(Service service, LongConsumer onProgress) {
        this.service = service;
        this.onProgress = onProgress;
    }

    /// Reads bytes from a path.
    ///
    /// @param type the media type that the answer must have
    /// @return the number of bytes
    /// @throws Failure if the answer is an error, has another type, or ends early; some bytes may
    ///   have been written then
    public long download(ApiPath path, String type, OutputStream to) {
        AtomicLong progress = new AtomicLong();
        HttpRequest request = service.request(path).header("Accept", type).build();
        HttpResponse<byte[]> response =
                await(
                        service.http()
                                .sendAsync(
                                        request,
                                        info ->
                                                isType(info, type)
                                                        ? new Drain(to, progress)
                                                        : HttpResponse.BodySubscribers.limiting(
                                                                HttpResponse.BodySubscribers
                                                                        .ofByteArray(),
                                                                Service.MAX_ERROR_BYTES)),
                        progress);
        if (response.statusCode() != 200) {
            throw Problems.of(response);
        }
        String found = response.headers().firstValue("Content-Type").orElse("no type");
        if (!found.startsWith(type)) {
            throw Problems.stranger("status 200 with " + found);
        }
        return progress.get();
    }

    private static boolean isType(HttpResponse.ResponseInfo info, String type) {
        return info.statusCode() == 200
                && info.headers().firstValue("Content-Type").orElse("").startsWith(type);
    }

    /// Sends bytes to a path.
    ///
    /// @param sizeBytes the number of bytes; negative if it is unknown
    /// @throws Failure if the answer is an error, or if the bytes cannot be read
    public void upload(ApiPath path, String type, InputStream from, long sizeBytes) {
        AtomicLong progress = new AtomicLong();
        HttpRequest.BodyPublisher bytes =
                HttpRequest.BodyPublishers.ofInputStream(() -> new Counted(from, progress));
        HttpRequest request =
                service.request(path)
                        .header("Content-Type", type)
                        .PUT(
                                sizeBytes > 0
                                        ? HttpRequest.BodyPublishers.fromPublisher(bytes, sizeBytes)
                                        : bytes)
                        .build();
        HttpResponse<byte[]> response =
                await(
                        service.http()
                                .sendAsync(
                                        request,
                                        HttpResponse.BodyHandlers.limiting(
                                                HttpResponse.BodyHandlers.ofByteArray(),
                                                Service.MAX_ERROR_BYTES)),
                        progress);
        if (response.statusCode() < 200 || response.statusCode() > 299) {
            throw Problems.of(response);
        }
    }

    /// Waits for the end as long as the transfer advances.
    private <T> T await(CompletableFuture<T> answer, AtomicLong progress) {
        Duration patience = service.endpoint().timeout();
        Duration step = patience.compareTo(STEP) < 0 ? patience : STEP;
        long before = 0;
        long beforeNanos = System.nanoTime();
        while (true) {
            Optional<T> end = endWithin(answer, step);
            if (end.isPresent()) {
                return end.get();
            }
            long now = progress.get();
            if (now != before) {
                before = now;
                beforeNanos = System.nanoTime();
                onProgress.accept(now);
            } else if (System.nanoTime() - beforeNanos >= patience.toNanos()) {
                answer.cancel(true);
                throw service.noAnswerWithin(patience);
            }
        }
    }

    private <T> Optional<T> endWithin(CompletableFuture<T> answer, Duration time) {
        try {
            return Optional.of(answer.get(time.toMillis(), TimeUnit.MILLISECONDS));
        } catch (TimeoutException e) {
            return Optional.empty();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof LocalFileException local
                    ? new Failure(ExitCode.FAILED, local.getMessage() + "")
                    : service.failureOf(e.getCause());
        } catch (InterruptedException e) {
            answer.cancel(true);
            Thread.currentThread().interrupt();
            throw new Failure(ExitCode.FAILED, "interrupted");
        }
    }

    /// A file of this machine failed, not the connection.
    private static final class LocalFileException extends IOException {
        private static final long serialVersionUID = 1L;

        private LocalFileException(String verb, IOException cause) {
            super("cannot %s: %s".formatted(verb, cause.getMessage()), cause);
        }
    }

    /// Writes what arrives to a stream.
    private static final class Drain implements HttpResponse.BodySubscriber<byte[]> {
        private final CompletableFuture<byte[]> end = new CompletableFuture<>();
        private final OutputStream to;
        private final AtomicLong progress;
        private Flow.@Nullable Subscription subscription;

        private Drain(OutputStream to, AtomicLong progress) {
            this.to = to;
            this.progress = progress;
        }

        @Override
        public CompletionStage<byte[]> getBody() {
            return end;
        }

        @Override
        public void onSubscribe(Flow.Subscription to) {
            subscription = to;
            to.request(1);
        }

        @Override
        public void onNext(List<ByteBuffer> buffers) {
            try {
                for (ByteBuffer buffer : buffers) {
                    byte[] bytes = new byte[buffer.remaining()];
                    buffer.get(bytes);
                    to.write(bytes);
                    progress.addAndGet(bytes.length);
                }
            } catch (IOException e) {
                if (subscription != null) {
                    subscription.cancel();
                }
                end.completeExceptionally(new LocalFileException("write", e));
                return;
            }
            if (subscription != null) {
                subscription.request(1);
            }
        }

        @Override
        public void onError(Throwable cause) {
            end.completeExceptionally(cause);
        }

        @Override
        public void onComplete() {
            end.complete(new byte[0]);
        }
    }

    /// Counts what is read.
    private static final class Counted extends InputStream {
        private final InputStream from;
        private final AtomicLong progress;

        private Counted(InputStream from, AtomicLong progress) {
            this.from = from;
            this.progress = progress;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
        }

        @Override
        public int read(byte[] to, int offset, int length) throws IOException {
            try {
                int count = from.read(to, offset, length);
                progress.addAndGet(Math.max(count, 0));
                return count;
            } catch (IOException e) {
                throw new LocalFileException("read", e);
            }
        }
    }
}
