package dev.mdev.core.elastic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.ElasticMemory;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Drivers and stores that do not do what they should: nobody else gets less than its minimum.
final class HostileEvictionTest {
    private static final int UNITS = 48;

    private static ElasticWorld world(Duration deadline) {
        return new ElasticWorld(UNITS, 1, ElasticWorld.options(), deadline);
    }

    private static void touchAll(ElasticWorld.Device device, int pages, long value) {
        for (int page = 0; page < pages; page++) {
            device.exchange(page, value + page);
        }
    }

    private static void requireAll(ElasticWorld.Device device, int pages, long value) {
        for (int page = 0; page < pages; page++) {
            assertThat(device.memory.load(Page.addressOf(page), 8)).isEqualTo(value + page);
        }
    }

    @Test
    void aDriverThatRefusesEverythingKeepsWhatItHasAndIsNamed() {
        ElasticWorld world = world(Deadlines.HANG);
        ElasticWorld.Device greedy = world.new Device(8, 40);
        ElasticWorld.Device other = world.new Device(8, 40);
        touchAll(greedy, 40, 100);
        greedy.gives = (_, _) -> false;
        touchAll(other, 40, 1000);
        requireAll(other, 40, 1000);
        requireAll(greedy, 40, 100);
        assertThat(other.memory.usage().heldPages()).isGreaterThanOrEqualTo(8);
        assertThat(world.news).anyMatch(line -> line.contains(greedy.uuid.toString()));
        assertThat(world.pool.counters().refusedPages()).isPositive();
    }

    @Test
    void aDriverThatGivesNothingUpFailsItsOwnRequestsOnly() {
        ElasticWorld world = world(Duration.ofMillis(200));
        ElasticWorld.Device stubborn = world.new Device(8, 64);
        ElasticWorld.Device other = world.new Device(8, 9);
        stubborn.gives = (_, _) -> false;
        assertThatThrownBy(() -> touchAll(stubborn, 64, 1))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT))
                .hasMessageContaining(stubborn.uuid.toString());
        touchAll(other, 8, 5);
        requireAll(other, 8, 5);
    }

    @Test
    void aDriverThatThrowsKeepsWhatItHasAndIsNamedAndTheOtherGetsItsPages() {
        ElasticWorld world = world(Deadlines.HANG);
        ElasticWorld.Device broken = world.new Device(8, 40);
        ElasticWorld.Device other = world.new Device(8, 40);
        touchAll(broken, 40, 100);
        broken.gives =
                (_, _) -> {
                    throw new IllegalStateException("planted");
                };
        touchAll(other, 40, 1);
        requireAll(other, 40, 1);
        assertThat(broken.memory.usage().usedPages()).isEqualTo(40);
        assertThat(world.news)
                .anyMatch(line ->
                        line.startsWith("refused " + broken.uuid) && line.contains("planted"));
        broken.gives = (_, _) -> true;
        touchAll(other, 40, 2);
        requireAll(other, 40, 2);
        requireAll(broken, 40, 100);
    }

    @Test
    void pinnedPagesStayWhateverTheDriverSays() {
        ElasticWorld world = world(Deadlines.HANG);
        ElasticWorld.Device first = world.new Device(8, 40);
        ElasticWorld.Device other = world.new Device(8, 48);
        touchAll(first, 40, 100);
        try (ElasticMemory.Pin pin = first.memory.pin(3, 4)) {
            long pfn = first.memory.pfnOf(3).orElseThrow();
            assertThat(pin.pfns().stream().mapToLong(range -> range.npages()).sum()).isEqualTo(4);
            for (int round = 0; round < 5; round++) {
                touchAll(other, 48, round);
                assertThat(first.memory.pfnOf(3)).hasValue(pfn);
            }
            assertThatThrownBy(() -> first.memory.pin(10, 1))
                    .isInstanceOfSatisfying(
                            MdevException.class,
                            e -> assertThat(e.errno()).isEqualTo(Errno.ENOMEM));
        }
        requireAll(first, 40, 100);
    }

    @Test
    void aStoreThatFailsOnceCostsNothing() {
        ElasticWorld world = world(Deadlines.HANG);
        ElasticWorld.Device device = world.new Device(8, 100);
        world.failingWrites.set(1);
        touchAll(device, 100, 7);
        requireAll(device, 100, 7);
        assertThat(world.news).anyMatch(line -> line.startsWith("store"));
    }

    @Test
    void aStoreThatIsFullFailsRequestsAtOnceAndLosesNothing() {
        ElasticWorld world = world(Deadlines.HANG);
        ElasticWorld.Device device = world.new Device(8, 100);
        ElasticWorld.Device other = world.new Device(8, 9);
        world.failingWrites.set(Integer.MAX_VALUE);
        List<Integer> stored = new ArrayList<>();
        assertThatThrownBy(
                        () -> {
                            for (int page = 0; page < 100; page++) {
                                device.exchange(page, page + 7L);
                                stored.add(page);
                            }
                        })
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOSPC));
        touchAll(other, 8, 5);
        requireAll(other, 8, 5);
        world.failingWrites.set(0);
        for (int page : stored) {
            assertThat(device.memory.load(Page.addressOf(page), 8)).isEqualTo(page + 7L);
        }
    }

    @Test
    void moreThanTheStoreOrTheRatioAllowsIsNotPromised() {
        ElasticOptions small =
                new ElasticOptions(Duration.ZERO, 2, Optional.empty(), 40 * Page.SIZE, false);
        ElasticWorld world = new ElasticWorld(UNITS, 1, small, Deadlines.HANG);
        assertThatThrownBy(() -> world.new Device(8, 41))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EUSERS))
                .hasMessageContaining("backing store");
        ElasticWorld.Device device = world.new Device(8, 40);
        touchAll(device, 40, 1);
        requireAll(device, 40, 1);
        device.end();
        assertThat(world.pool.store().reservedBytes()).isZero();
        world.new Device(8, 40).end();
    }

    @Test
    void encryptedContentComesBack() {
        ElasticOptions options =
                new ElasticOptions(Duration.ZERO, 64, Optional.empty(), 1 << 20, true);
        ElasticWorld world = new ElasticWorld(UNITS, 2, options, Deadlines.HANG);
        ElasticWorld.Device device = world.new Device(8, 120);
        for (int round = 0; round < 2; round++) {
            touchAll(device, 240, 9);
            requireAll(device, 240, 9);
        }
        assertThat(device.memory.usage().storedPages()).isPositive();
    }

    @Test
    void aUnitThatJustCameStaysForAWhile() {
        ElasticOptions options =
                new ElasticOptions(Duration.ofSeconds(1), 64, Optional.empty(), 1 << 20, false);
        ElasticWorld world = new ElasticWorld(8, 1, options, Duration.ofMillis(50));
        ElasticWorld.Device device = world.new Device(8, 20);
        touchAll(device, 8, 1);
        assertThatThrownBy(() -> device.exchange(8, 1))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT));
    }
}
