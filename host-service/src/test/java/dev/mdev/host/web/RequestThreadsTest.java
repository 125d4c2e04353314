package dev.mdev.host.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.driver.CallReport;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/// Which request is answered without its work, because a driver keeps it.
class RequestThreadsTest {
    /// The thread of the callback that does not return.
    private volatile Thread stuck = new Thread(() -> {}, "elsewhere");

    private final CountDownLatch askedTwice = new CountDownLatch(2);
    private final CountDownLatch goOn = new CountDownLatch(1);

    private final RequestThreads threads =
            new RequestThreads(
                    () -> {
                        askedTwice.countDown();
                        return List.of(new CallReport("mdev=x", "counters", 1, stuck, false));
                    },
                    Duration.ofMillis(5),
                    () -> {
                        throw new IllegalStateException("no call here may take long");
                    });

    @AfterEach
    void end() {
        goOn.countDown();
        threads.close();
    }

    @Test
    void aDriverThatNamesItsThreadAsThatOfAnotherRequestDoesNotEndTheOther() throws Exception {
        Object answer =
                threads.perform(() -> {
                    stuck.setName(Thread.currentThread().getName());
                    Deadlines.await(askedTwice);
                    return 7;
                });

        assertThat(answer).isEqualTo(7);
    }

    @Test
    void theRequestWhoseThreadIsInTheCallEndsWhateverItsName() {
        assertThatThrownBy(() ->
                        threads.perform(() -> {
                            stuck = Thread.currentThread();
                            stuck.setName("x".repeat(7_000_000));
                            Deadlines.await(goOn);
                            return 7;
                        }))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT))
                .hasMessageContaining("mdev=x counters has not returned");
    }
}
