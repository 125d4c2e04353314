package dev.mdev.core.elastic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.Optional;

/// The backing store stays within its limit.
final class StoreRoomTest {
    private static final int UNITS = 16;
    private static final int MIN = 8;
    private static final int MAX = 40;

    private static ElasticOptions options(long storeMaxBytes) {
        return new ElasticOptions(Duration.ZERO, 64, Optional.empty(), storeMaxBytes, false);
    }

    /// A file has a place for each page that was ever written away, not only for those that are
    /// away at the same time.
    @Test
    void devicesWriteNoMoreThanTheyReservedHoweverTheirPagesComeAndGo() {
        ElasticWorld world =
                new ElasticWorld(UNITS, 1, options(Page.bytesOf(2 * MAX)), Deadlines.HANG);
        ElasticWorld.Device first = world.new Device(MIN, MAX);
        ElasticWorld.Device second = world.new Device(MIN, MAX);
        for (int round = 0; round < 4; round++) {
            for (int page = 0; page < MAX; page++) {
                int backwards = MAX - 1 - page;
                first.exchange(round % 2 == 0 ? page : backwards, round + 1L);
                second.exchange(round % 2 == 0 ? backwards : page, round + 1L);
            }
        }
        assertThat(Page.bytesOf(world.usedSlots.size()))
                .isGreaterThan(Page.bytesOf(2L * (MAX - MIN)))
                .isLessThanOrEqualTo(world.pool.store().reservedBytes())
                .isLessThanOrEqualTo(world.pool.store().maxBytes());
    }

    @Test
    void aDeviceThatCouldWriteMoreThanIsLeftIsRefused() {
        ElasticWorld world =
                new ElasticWorld(UNITS, 1, options(Page.bytesOf(MAX - 1)), Deadlines.HANG);
        assertThatThrownBy(() -> world.new Device(MIN, MAX))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EUSERS))
                .hasMessageContaining("backing store");
        assertThat(world.pool.store().reservedBytes()).isZero();
    }

    @Test
    void aStoreInMemoryTakesNoMorePagesThanTheDeviceHas() {
        byte[] page = new byte[Page.SIZE];
        try (MemorySlots slots = new MemorySlots(300)) {
            for (int i = 0; i < 300; i++) {
                slots.write(i, page, 0);
            }
            assertThatThrownBy(() -> slots.write(300, page, 0))
                    .isInstanceOfSatisfying(
                            MdevException.class,
                            e -> assertThat(e.errno()).isEqualTo(Errno.ENOSPC));
            slots.drop(7);
            slots.write(300, page, 0);
        }
    }
}
