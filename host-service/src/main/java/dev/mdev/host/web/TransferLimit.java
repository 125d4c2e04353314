package dev.mdev.host.web;

import dev.mdev.host.problem.TransferTooLongException;

import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;

import java.io.FilterInputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.function.LongSupplier;

/// Ends transfers that take too long: a device is paused during the transfer of its state, and a
/// client must not prolong that at will.
///
/// A stream fails at its first read or write after the limit. A running read or write then ends
/// within the container's own limit for an idle client, `server.tomcat.connection-timeout`. A
/// stream also fails when the request has been answered without its [RequestWork].
@Component
public final class TransferLimit {
    /// The maximum number of bytes passed to a slow client between two checks of the clock.
    private static final int PART_BYTES = 8192;

    private final Duration limit;
    private final LongSupplier nanoClock;

    @Autowired
    TransferLimit(WebProperties properties) {
        this(properties.maxTransfer(), System::nanoTime);
    }

    /// @param nanoClock as [System#nanoTime]
    TransferLimit(Duration limit, LongSupplier nanoClock) {
        if (!limit.isPositive()) {
            throw new IllegalArgumentException("mdev.web.max-transfer=" + limit);
        }
        this.limit = limit;
        this.nanoClock = nanoClock;
    }

    /// A stream that fails with [TransferTooLongException] after the limit, counted from now.
    public InputStream limited(InputStream in) {
        return new LimitedInput(in, new Deadline());
    }

    /// A stream that fails with [TransferTooLongException] after the limit, counted from now.
    public OutputStream limited(OutputStream out) {
        return new LimitedOutput(out, new Deadline());
    }

    private final class Deadline {
        private final long startNanos = nanoClock.getAsLong();
        private final RequestWork work = RequestWork.current();

        <T> T access(RequestWork.Access<T> access) throws IOException {
            if (nanoClock.getAsLong() - startNanos >= limit.toNanos()) {
                throw new TransferTooLongException(limit);
            }
            return work.access(access);
        }
    }

    private static final class LimitedInput extends FilterInputStream {
        private final Deadline deadline;

        LimitedInput(InputStream in, Deadline deadline) {
            super(in);
            this.deadline = deadline;
        }

        @Override
        public int read() throws IOException {
            return deadline.access(in::read);
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            return deadline.access(() -> in.read(bytes, offset, length));
        }
    }

    private static final class LimitedOutput extends FilterOutputStream {
        private final Deadline deadline;

        LimitedOutput(OutputStream out, Deadline deadline) {
            super(out);
            this.deadline = deadline;
        }

        @Override
        public void write(int value) throws IOException {
            write(new byte[] {(byte) value}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            for (int done = 0; done < length; done += PART_BYTES) {
                int from = offset + done;
                int part = Math.min(PART_BYTES, length - done);
                deadline.access(() -> {
                    out.write(bytes, from, part);
                    return part;
                });
            }
        }

        @Override
        public void flush() throws IOException {
            deadline.access(() -> {
                out.flush();
                return 0;
            });
        }
    }
}
