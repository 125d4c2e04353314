package dev.mdev.core.topology;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/// Random trees and edits against a resolver that looks at one address at a time.
@Tag("slow")
class TopologyModelTest {
    private static final int ROUNDS = 60;
    private static final int EDITS = 60;

    @Test
    void everyViewAndEverySlotIsWhatTheResolverSays() {
        Seeded.run(
                ROUNDS,
                random -> {
                    TopologyWorld world = new TopologyWorld(random);
                    for (int i = 0; i < EDITS; i++) {
                        world.transact();
                    }
                });
    }

    @Test
    void refusedTransactionsLeaveNoTrace() {
        int[] refused = new int[1];
        Seeded.run(
                ROUNDS,
                random -> {
                    TopologyWorld world = new TopologyWorld(random);
                    for (int i = 0; i < EDITS; i++) {
                        refused[0] += world.transactAndRefuse(random.nextInt(4)) ? 1 : 0;
                    }
                });
        assertThat(refused[0]).isPositive();
    }

    /// The checks above would not notice a resolver and a renderer that both show nothing.
    @Test
    void theWorldsAreNotEmpty() {
        long[] slots = new long[1];
        Seeded.run(
                5,
                random -> {
                    TopologyWorld world = new TopologyWorld(random);
                    for (int i = 0; i < EDITS; i++) {
                        world.transact();
                        slots[0] += world.slotCount();
                    }
                });
        assertThat(slots[0]).isGreaterThan(EDITS);
    }
}
