package dev.mdev.core.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.SplittableRandom;

/// Protection of 64 frames at once, compared with protection of each frame by itself.
class Stage2TableTest {
    /// Two leaves of 1 GiB before the border of two nodes of the level above.
    private static final long FIRST_GFN = (1L << 27) - (2L << 18);

    @Test
    void sixtyFourFramesAreProtectedAsOneByOne() {
        Seeded.run(
                20,
                random -> {
                    Stage2Table together = new Stage2Table();
                    Stage2Table oneByOne = new Stage2Table();
                    for (int i = 0; i < 2000; i++) {
                        install(together, oneByOne, random);
                        protect(together, oneByOne, random);
                    }
                });
    }

    private static void install(
            Stage2Table together, Stage2Table oneByOne, SplittableRandom random) {
        int kind = random.nextInt(100);
        int level =
                kind == 0
                        ? Stage2Table.LEVEL_1G
                        : kind < 10 ? Stage2Table.LEVEL_2M : Stage2Table.LEVEL_4K;
        long gfn = anyGfn(random) & -Stage2Table.pagesPerLeaf(level);
        long entry = Stage2Entry.of(0x4000_0000 + gfn, true, random.nextInt(4) != 0);
        together.installLocked(level, gfn, entry);
        oneByOne.installLocked(level, gfn, entry);
    }

    private static void protect(
            Stage2Table together, Stage2Table oneByOne, SplittableRandom random) {
        long firstGfn = anyGfn(random);
        long bits = random.nextLong() | (random.nextBoolean() ? random.nextLong() : 0);
        boolean any = false;
        for (int i = 0; i < Long.SIZE; i++) {
            if ((bits & (1L << i)) != 0) {
                any |=
                        oneByOne.changeLocked(
                                new GfnRange(firstGfn + i, 1), Stage2Table.Change.WRITE_PROTECT);
            }
        }

        assertThat(together.writeProtectLocked(firstGfn, bits)).isEqualTo(any);

        for (int i = -1; i <= Long.SIZE; i++) {
            assertThat(together.walk(firstGfn + i)).isEqualTo(oneByOne.walk(firstGfn + i));
        }
        assertThat(together.leavesLocked(Stage2Table.LEVEL_4K))
                .isEqualTo(oneByOne.leavesLocked(Stage2Table.LEVEL_4K));
    }

    /// Near the border of two leaves of 2 MiB or, now and then, of 1 GiB.
    private static long anyGfn(SplittableRandom random) {
        int shift = random.nextInt(4) == 0 ? 18 : 9;
        long border = FIRST_GFN + ((1 + random.nextLong(3)) << shift);
        return border - 96 + random.nextLong(128);
    }
}
