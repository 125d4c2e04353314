package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.barfile.FreshPages.STAY_NANOS;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/// How long pages stay that a client has just waited for.
class FreshPagesTest {
    /// [System#nanoTime] may be anything, also near to its overflow.
    private static final long NOW = Long.MAX_VALUE - STAY_NANOS / 2;

    private final FreshPages fresh = new FreshPages();

    @Test
    void pagesThatNobodyWaitedForGoAtOnce() {
        assertThat(fresh.restNanos(0, 100, NOW)).isZero();
        fresh.add(7, NOW);
        assertThat(fresh.restNanos(0, 7, NOW)).isZero();
        assertThat(fresh.restNanos(8, 100, NOW)).isZero();
    }

    @Test
    void aPageStaysForAMomentAfterItsAnswerAndNoLonger() {
        fresh.add(7, NOW);

        assertThat(fresh.restNanos(7, 8, NOW)).isEqualTo(STAY_NANOS);
        assertThat(fresh.restNanos(0, 100, NOW + 600_000)).isEqualTo(STAY_NANOS - 600_000);
        assertThat(fresh.restNanos(0, 100, NOW + STAY_NANOS)).isZero();
        assertThat(fresh.restNanos(0, 100, NOW + 9 * STAY_NANOS)).isZero();
    }

    @Test
    void theFreshestPageOfARangeCounts() {
        fresh.add(7, NOW);
        fresh.add(3, NOW + 100);
        fresh.add(9, NOW + 50);

        assertThat(fresh.restNanos(0, 100, NOW + 200)).isEqualTo(STAY_NANOS - 100);
        assertThat(fresh.restNanos(4, 100, NOW + 200)).isEqualTo(STAY_NANOS - 150);
    }

    @Test
    void anyNumberOfPagesTakesTheSameRoom() {
        for (int page = 0; page < 1_000; page++) {
            fresh.add(page, NOW + page);
        }

        assertThat(fresh.restNanos(0, 1_000, NOW + 999)).isEqualTo(STAY_NANOS);
        assertThat(fresh.restNanos(0, 900, NOW + 999)).isZero();
    }
}
