package dev.mdev.core.driver;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;

import org.junit.jupiter.api.Test;

import java.time.Duration;

final class DriverTextTest {
    private final DriverCalls calls =
            new DriverCalls("mdev=x", Duration.ofSeconds(50), (_, _, _) -> {});

    /// An exception that is as unhelpful as it can be.
    private static final class Hostile extends MdevException {
        private static final long serialVersionUID = 1L;

        Hostile() {
            super(Errno.EBUSY, "hostile");
        }

        @Override
        public Errno errno() {
            throw new IllegalStateException("errno");
        }

        @Override
        public String getMessage() {
            throw new IllegalStateException("message");
        }

        @Override
        public String toString() {
            throw new IllegalStateException("text");
        }
    }

    private Refusal refusalOf(RuntimeException thrown) {
        return calls.run(
                        "reset",
                        () -> {
                            throw thrown;
                        })
                .orElseThrow();
    }

    @Test
    void anExceptionThatThrowsWhenItIsAskedIsNamed() {
        Refusal refusal = refusalOf(new Hostile());

        assertThat(refusal.errno()).isEqualTo(Errno.EIO);
        assertThat(refusal.reason())
                .contains(Hostile.class.getName())
                .contains("throws when it is asked for its text");
    }

    @Test
    void theNameOfAThreadThatTheDriverRenamesIsCut() {
        Thread thread = new Thread(() -> {}, "x".repeat(7_000_000));
        CallReport report = new CallReport("mdev=x", "reset", 1, thread, false);

        assertThat(report.threadName()).hasSizeLessThan(100).contains("(7000000 characters)");
    }

    @Test
    void aLongMessageIsCutAndItsLengthIsTold() {
        String text = "x".repeat(7_000_000);

        assertThat(refusalOf(new MdevException(Errno.EBUSY, text)).reason())
                .hasSizeLessThan(1200)
                .contains("(7000000 characters)");
        assertThat(refusalOf(new IllegalStateException(text)).reason()).hasSizeLessThan(1200);
    }

    @Test
    void anInterruptThatTheDriverLeavesIsGone() {
        assertThat(calls.run("reset", Thread.currentThread()::interrupt)).isEmpty();

        assertThat(Thread.currentThread().isInterrupted()).isFalse();
        assertThat(calls.run("reset", () -> {})).isEmpty();
    }

    @Test
    void anInterruptFromBeforeTheCallStays() {
        Refusal refusal;
        Thread.currentThread().interrupt();
        try {
            refusal = calls.run("reset", () -> {}).orElse(new Refusal(Errno.EIO, "returned"));
        } finally {
            assertThat(Thread.interrupted()).isTrue();
        }

        assertThat(refusal.errno()).isIn(Errno.EINTR, Errno.EIO);
    }
}
