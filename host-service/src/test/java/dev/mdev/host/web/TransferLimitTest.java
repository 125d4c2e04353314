package dev.mdev.host.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.host.problem.TransferTooLongException;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

class TransferLimitTest {
    private static final Duration LIMIT = Duration.ofMinutes(10);

    /// Near its end, so that it overflows during the test, as it may.
    private final AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 5);

    private final TransferLimit limit = new TransferLimit(LIMIT, clock::get);
    private final byte[] bytes = new byte[100_000];

    @Test
    void whatIsReadInTimeIsWhatWasSent() throws IOException {
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (i * 7);
        }
        InputStream in = limit.limited(new ByteArrayInputStream(bytes));
        ByteArrayOutputStream sink = new ByteArrayOutputStream();
        OutputStream out = limit.limited(sink);
        clock.addAndGet(LIMIT.toNanos() - 1);

        out.write(in.read());
        out.write(in.readAllBytes());

        assertThat(sink.toByteArray()).isEqualTo(bytes);
    }

    @Test
    void afterTheLimitNothingIsReadAndTheFailureNamesIt() {
        InputStream in = limit.limited(new ByteArrayInputStream(bytes));
        clock.addAndGet(LIMIT.toNanos());

        assertThatThrownBy(in::read).isInstanceOf(TransferTooLongException.class);
        assertThatThrownBy(() -> in.read(new byte[1]))
                .isInstanceOf(TransferTooLongException.class)
                .hasMessageContaining("mdev.web.max-transfer")
                .hasMessageContaining("PT10M");
    }

    @Test
    void oneLargeWriteIsCutOffInItsMiddleWhenItsReaderIsSlow() {
        ByteArrayOutputStream taken =
                new ByteArrayOutputStream() {
                    @Override
                    public synchronized void write(byte[] part, int offset, int length) {
                        super.write(part, offset, length);
                        clock.addAndGet(LIMIT.toNanos() / 3 + 1);
                    }
                };
        OutputStream out = limit.limited(taken);

        assertThatThrownBy(() -> out.write(bytes)).isInstanceOf(TransferTooLongException.class);

        assertThat(taken.size()).isPositive().isLessThan(bytes.length / 2);
        assertThatThrownBy(() -> out.write(0)).isInstanceOf(TransferTooLongException.class);
    }

    @Test
    void aLimitThatNoTransferMeetsIsRefused() {
        assertThatThrownBy(() -> new TransferLimit(Duration.ZERO, clock::get))
                .hasMessageContaining("mdev.web.max-transfer");
    }
}
