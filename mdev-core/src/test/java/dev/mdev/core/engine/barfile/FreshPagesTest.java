package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.barfile.FreshPages.AGAIN_NANOS;
import static dev.mdev.core.engine.barfile.FreshPages.MAX_STAY_NANOS;
import static dev.mdev.core.engine.barfile.FreshPages.STAY_NANOS;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// How long pages stay that a client has just waited for.
class FreshPagesTest {
    /// [System#nanoTime] may be anything, also near to its overflow.
    private static final long NOW = Long.MAX_VALUE - STAY_NANOS / 2;

    private final FreshPages fresh = new FreshPages();

    private long take(long first, long end, long nowNanos) {
        return fresh.in(first, end, nowNanos).stream()
                .mapToLong(page -> fresh.take(page, nowNanos))
                .max()
                .orElse(0);
    }

    @Test
    void pagesThatNobodyWaitedForGoAtOnce() {
        assertThat(take(0, 100, NOW)).isZero();
        fresh.answered(7, NOW);
        assertThat(take(0, 7, NOW)).isZero();
        assertThat(take(8, 100, NOW)).isZero();
    }

    @Test
    void aPageStaysForAMomentAfterItsAnswerAndNoLonger() {
        fresh.answered(7, NOW);

        assertThat(take(7, 8, NOW)).isEqualTo(STAY_NANOS);
        assertThat(take(0, 100, NOW + 600_000)).isEqualTo(STAY_NANOS - 600_000);
        assertThat(take(0, 100, NOW + STAY_NANOS)).isZero();
        assertThat(take(0, 100, NOW + 9 * STAY_NANOS)).isZero();
        assertThat(take(0, 100, NOW + 2 * MAX_STAY_NANOS)).isZero();
    }

    @Test
    void theFreshestPageOfARangeCounts() {
        fresh.answered(7, NOW);
        fresh.answered(9, NOW + 50);
        fresh.answered(3, NOW + 100);

        assertThat(take(0, 100, NOW + 200)).isEqualTo(STAY_NANOS - 100);
        assertThat(take(4, 100, NOW + 200)).isEqualTo(STAY_NANOS - 150);
    }

    @Test
    void anyNumberOfPagesTakesTheSameRoom() {
        for (int page = 0; page < 100_000; page++) {
            fresh.answered(page, NOW + page);
        }

        assertThat(take(0, 100_000, NOW + 99_999)).isEqualTo(STAY_NANOS);
        assertThat(take(0, 90_000, NOW + 99_999)).isZero();
    }

    @Test
    void aPageThatIsAskedForAgainStaysTwiceAsLongUpToABound() {
        long now = NOW;
        for (long stay = STAY_NANOS; stay <= MAX_STAY_NANOS; stay *= 2) {
            fresh.answered(7, now);
            assertThat(take(0, 100, now)).isEqualTo(stay);
            now += stay;
            fresh.asked(7, now);
        }

        fresh.answered(7, now);
        assertThat(take(0, 100, now)).isEqualTo(MAX_STAY_NANOS);
    }

    @Test
    void revocationsBeforeTheNextAccessCountOnce() {
        fresh.answered(7, NOW);
        var _ = take(0, 100, NOW);
        var _ = take(0, 100, NOW + STAY_NANOS);
        fresh.asked(7, NOW + STAY_NANOS);
        fresh.answered(7, NOW + STAY_NANOS);

        assertThat(take(0, 100, NOW + STAY_NANOS)).isEqualTo(2 * STAY_NANOS);
    }

    @Test
    void aClientThatReachedItsPageBeginsAnew() {
        fresh.answered(7, NOW);
        var _ = take(0, 100, NOW);
        fresh.reached(7);
        fresh.asked(7, NOW + STAY_NANOS);
        fresh.answered(7, NOW + STAY_NANOS);

        assertThat(take(0, 100, NOW + STAY_NANOS)).isEqualTo(STAY_NANOS);
    }

    @Test
    void anAccessLongAfterTheRevocationBeginsAnew() {
        fresh.answered(7, NOW);
        var _ = take(0, 100, NOW);
        long later = NOW + STAY_NANOS + AGAIN_NANOS;
        fresh.asked(7, later);
        fresh.answered(7, later);

        assertThat(take(0, 100, later)).isEqualTo(STAY_NANOS);
    }

    @Test
    void aPageThatStayedLongByItselfBeginsAnew() {
        fresh.answered(7, NOW);
        long later = NOW + MAX_STAY_NANOS;
        var _ = take(0, 100, later);
        fresh.asked(7, later);
        fresh.answered(7, later);

        assertThat(take(0, 100, later)).isEqualTo(STAY_NANOS);
    }

    /// A driver revokes without a pause, or rests for a time that is no help; a client gets a
    /// processor long after its page is there.
    @ParameterizedTest
    @ValueSource(longs = {0, 500_000, 10_000_000, 100_000_000})
    void aClientThatWaitsForAProcessorReachesItsPage(long restNanos) {
        long latencyNanos = MAX_STAY_NANOS * 9 / 10;
        long now = NOW;
        int attempts = 0;
        long stayed;
        do {
            attempts++;
            fresh.asked(7, now);
            fresh.answered(7, now);
            stayed = restNanos + take(0, 100, now + restNanos);
            now += latencyNanos;
        } while (stayed <= latencyNanos && attempts < 100);

        assertThat(attempts).isLessThan(10);
    }
}
