package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DirtyRunsTest {
    @Test
    void adjacentPagesAreOneRunAlsoOverWords() {
        DirtyRuns runs = new DirtyRuns();
        runs.add(0, 1L << 63 | 0b101);
        runs.add(1, 0b11);
        runs.add(3, -1L);
        assertThat(runs.size()).isEqualTo(4);
        assertThat(runs.all())
                .containsExactly(
                        new DirtyPages.Run(0, 1),
                        new DirtyPages.Run(2, 1),
                        new DirtyPages.Run(63, 3),
                        new DirtyPages.Run(192, 64));
    }

    @Test
    void noPagesAreNoRun() {
        assertThat(new DirtyRuns().all()).isEmpty();
    }
}
