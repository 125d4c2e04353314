package dev.mdev.cli.client;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.concurrent.Semaphore;

/// The bodies of [UnixHttp], in both directions.
final class UnixBody {
    private UnixBody() {}

    /// Writes a body as it comes.
    static final class Upload implements Flow.Subscriber<ByteBuffer> {
        private final SocketChannel channel;
        private final boolean isChunked;
        private final CompletableFuture<Boolean> end = new CompletableFuture<>();
        private Flow.@Nullable Subscription source;

        Upload(SocketChannel channel, boolean isChunked) {
            this.channel = channel;
            this.isChunked = isChunked;
        }

        @Override
        public void onSubscribe(Flow.Subscription subscription) {
            source = subscription;
            subscription.request(1);
        }

        @Override
        public void onNext(ByteBuffer part) {
            try {
                if (isChunked && part.hasRemaining()) {
                    UnixHttp.write(channel, line(Integer.toHexString(part.remaining())));
                    UnixHttp.write(channel, part);
                    UnixHttp.write(channel, line(""));
                } else {
                    UnixHttp.write(channel, part);
                }
                if (source != null) {
                    source.request(1);
                }
            } catch (IOException e) {
                if (source != null) {
                    source.cancel();
                }
                end.completeExceptionally(e);
            }
        }

        @Override
        public void onError(Throwable thrown) {
            end.completeExceptionally(thrown);
        }

        @Override
        public void onComplete() {
            try {
                if (isChunked) {
                    UnixHttp.write(channel, line("0\r\n"));
                }
                end.complete(true);
            } catch (IOException e) {
                end.completeExceptionally(e);
            }
        }

        private static ByteBuffer line(String text) {
            return ByteBuffer.wrap((text + "\r\n").getBytes(StandardCharsets.US_ASCII));
        }

        void await() throws IOException, InterruptedException {
            try {
                var _ = end.get();
            } catch (ExecutionException e) {
                throw e.getCause() instanceof IOException cause
                        ? cause
                        : new IOException(e.getCause());
            }
        }
    }

    /// Gives a body to its reader, as fast as that asks for it.
    static final class Pump implements Flow.Subscription {
        private final InputStream in;
        private final HttpResponse.BodySubscriber<?> reader;
        private final Semaphore wanted = new Semaphore(0);
        private volatile boolean isCancelled;

        Pump(InputStream in, HttpResponse.BodySubscriber<?> reader) {
            this.in = in;
            this.reader = reader;
        }

        @Override
        public void request(long count) {
            int now = (int) Math.min(count, Integer.MAX_VALUE / 4);
            // Some readers ask for everything, again and again.
            if (wanted.availablePermits() < Integer.MAX_VALUE / 4) {
                wanted.release(now);
            }
        }

        @Override
        public void cancel() {
            isCancelled = true;
            wanted.release();
        }

        void run() throws InterruptedException {
            reader.onSubscribe(this);
            try {
                while (true) {
                    wanted.acquire();
                    byte[] part = new byte[UnixHttp.PART_BYTES];
                    int length = isCancelled ? -1 : in.read(part, 0, part.length);
                    if (length < 0) {
                        break;
                    }
                    reader.onNext(List.of(ByteBuffer.wrap(part, 0, length)));
                }
            } catch (IOException e) {
                reader.onError(e);
                return;
            }
            if (!isCancelled) {
                reader.onComplete();
            }
        }
    }
}
