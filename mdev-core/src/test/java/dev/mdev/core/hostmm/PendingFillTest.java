package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Access;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.BitSet;
import java.util.concurrent.TimeUnit;

class PendingFillTest {
    private static final int PAGES = 24;

    /// It may ask again once too often, for what lies between two zaps of one side, but never once
    /// too seldom.
    @Test
    void noZapIsMissedAndOneSideDoesNotSpreadToTheOther() {
        Seeded.run(
                3000,
                random -> {
                    int page = random.nextInt(PAGES);
                    PendingFill fill = new PendingFill(page, Access.READ);
                    BitSet zapped = new BitSet();
                    BitSet low = new BitSet();
                    BitSet high = new BitSet();
                    for (int i = random.nextInt(4); i > 0; i--) {
                        int first = random.nextInt(PAGES);
                        int end = random.nextInt(first + 1, PAGES + 1);
                        fill.zappedLocked(first, end);
                        zapped.set(first, end);
                        (first <= page ? low : high).set(first, end);
                    }
                    fillHoles(low);
                    fillHoles(high);
                    int first = random.nextInt(page + 1);
                    int end = random.nextInt(page + 1, PAGES + 1);

                    boolean hit = fill.takeZappedLocked(first, end);

                    BitSet grant = new BitSet();
                    grant.set(first, end);
                    low.or(high);
                    assertThat(hit).isEqualTo(low.intersects(grant));
                    assertThat(hit || !zapped.intersects(grant)).as("none is missed").isTrue();
                    assertThat(fill.takeZappedLocked(0, PAGES)).as("forgotten").isFalse();
                });
    }

    private static void fillHoles(BitSet pages) {
        if (!pages.isEmpty()) {
            pages.set(pages.nextSetBit(0), pages.length());
        }
    }

    @Test
    void pagesThatOnlyTouchAZappedRangeWereNotZapped() {
        PendingFill fill = new PendingFill(8, Access.READ);
        fill.zappedLocked(0, 8);
        fill.zappedLocked(9, 16);
        assertThat(fill.takeZappedLocked(8, 9)).isFalse();

        fill.zappedLocked(8, 9);
        assertThat(fill.takeZappedLocked(8, 9)).isTrue();
    }

    @Test
    void whoWaitsHearsTheEndAndTheEndOnly() throws Exception {
        PendingFill fill = new PendingFill(0, Access.READ);
        assertThat(fill.await(0)).isNull();

        fill.finish(new FaultResult.Trapped());

        assertThat(fill.await(TimeUnit.SECONDS.toNanos(60))).isEqualTo(new FaultResult.Trapped());
    }
}
