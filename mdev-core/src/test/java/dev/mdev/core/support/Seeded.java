package dev.mdev.core.support;

import java.util.SplittableRandom;
import java.util.function.Consumer;

/// Runs a test of random steps so that a failure can be run again: the seed is fresh, or that of
/// `-Dmdev.seed`, and a failure names it. `-Dmdev.rounds` multiplies the number of rounds.
public final class Seeded {
    private static final String SEED = "mdev.seed";

    private Seeded() {}

    /// Runs `body` for `rounds` rounds, each with a generator of its own.
    public static void run(int rounds, Consumer<SplittableRandom> body) {
        Long fixed = Long.getLong(SEED);
        int total = fixed != null ? 1 : rounds * Integer.getInteger("mdev.rounds", 1);
        SplittableRandom seeds = new SplittableRandom();
        for (int round = 0; round < total; round++) {
            long seed = fixed != null ? fixed : seeds.nextLong();
            try {
                body.accept(new SplittableRandom(seed));
            } catch (RuntimeException | Error failure) {
                throw new AssertionError(
                        "failed; again with -D%s=%d: %s".formatted(SEED, seed, failure), failure);
            }
        }
    }
}
