package dev.mdev.core.ledger;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.BitSet;
import java.util.List;

class RunSetTest {
    private static final int PAGES = 64;

    @Test
    void isTheSetThatABitSetIs() {
        Seeded.run(
                200,
                random -> {
                    RunSet runs = new RunSet();
                    BitSet bits = new BitSet();
                    for (int i = 0; i < 60; i++) {
                        int first = random.nextInt(PAGES);
                        int npages = random.nextInt(1, PAGES - first + 1);
                        ApertureRun run = new ApertureRun(first, npages);
                        if (random.nextBoolean()) {
                            runs.add(run);
                            bits.set(first, first + npages);
                        } else {
                            runs.remove(run);
                            bits.clear(first, first + npages);
                        }
                        assertSame(runs.runs(), bits);
                        assertThat(runs.npages()).isEqualTo(bits.cardinality());
                        BitSet part = new BitSet();
                        part.set(first, first + npages);
                        part.and(bits);
                        assertSame(runs.within(run), part);
                    }
                });
    }

    private static void assertSame(List<ApertureRun> runs, BitSet bits) {
        BitSet covered = new BitSet();
        long lastEnd = -1;
        for (ApertureRun run : runs) {
            assertThat(run.firstPage()).as("ascending, and not touching").isGreaterThan(lastEnd);
            lastEnd = run.endPage();
            covered.set((int) run.firstPage(), (int) run.endPage());
        }
        assertThat(covered).isEqualTo(bits);
    }
}
