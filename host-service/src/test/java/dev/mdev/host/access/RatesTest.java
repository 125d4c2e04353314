package dev.mdev.host.access;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.concurrent.atomic.AtomicLong;

class RatesTest {
    private final AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 5);
    private final Rates rates = new Rates(10, clock::get);

    private int admitted(String client, int asked) {
        int admitted = 0;
        for (int i = 0; i < asked; i++) {
            admitted += rates.admit(client) ? 1 : 0;
        }
        return admitted;
    }

    @Test
    void aClientGetsTheRequestsOfTwoSecondsAtOnceAndThenItsRate() {
        assertThat(admitted("a", 100)).isEqualTo(20);
        clock.addAndGet(1_000_000_000);
        assertThat(admitted("a", 100)).isEqualTo(10);
        clock.addAndGet(50_000_000);
        assertThat(admitted("a", 100)).isZero();
        clock.addAndGet(50_000_000);
        assertThat(admitted("a", 100)).isEqualTo(1);
    }

    @Test
    void oneClientTakesNothingFromAnother() {
        admitted("a", 100);
        assertThat(admitted("b", 100)).isEqualTo(20);
    }

    @Test
    void aClientThatWasAwayHasNoMoreThanTwoSeconds() {
        admitted("a", 100);
        clock.addAndGet(3_600_000_000_000L);
        assertThat(admitted("a", 100)).isEqualTo(20);
    }
}
