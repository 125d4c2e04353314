package dev.mdev.core.elastic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.ElasticMemory;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/// Steps of a discard, an eviction or a return that fail: no unit stays in transit, no content is
/// lost, and nobody pays for the failure of another device.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ElasticFailureTest {
    private static final int UNITS = 48;
    private static final int MIN = 8;
    private static final int MAX = 40;

    /// No request here waits, unless a unit stays in transit.
    private static final Duration SHORT = Duration.ofSeconds(20);

    private final ElasticWorld world = new ElasticWorld(UNITS, 1, ElasticWorld.options(), SHORT);

    private static void fail() {
        throw new IllegalStateException("planted");
    }

    private static void touchAll(ElasticWorld.Device device, int pages, long value) {
        for (int page = 0; page < pages; page++) {
            device.exchange(page, value + page);
        }
    }

    private static void requireAll(ElasticWorld.Device device, int first, int pages, long value) {
        for (int page = first; page < pages; page++) {
            assertThat(device.memory.load(Page.addressOf(page), 8)).isEqualTo(value + page);
        }
    }

    /// All frames are somewhere, and none in two places.
    private void requireNoFrameLost(ElasticWorld.Device... devices) {
        for (ElasticWorld.Device device : devices) {
            device.end();
        }
        assertThat(world.freeUnits() + world.quarantined.size()).isEqualTo(UNITS);
    }

    @Test
    void aDiscardThatFailsHalfWayLeavesEveryUnitInUse() {
        ElasticWorld.Device device = world.new Device(MIN, MAX);
        touchAll(device, MIN, 100);
        try (ElasticMemory.Pin _ = device.memory.pin(4, 1)) {
            // The pinned page is set to zero where it is.
            world.beforeCopy = ElasticFailureTest::fail;
            assertThatThrownBy(() -> device.memory.discard(0, MIN)).hasMessage("planted");
            world.beforeCopy = () -> {};
        }
        requireAll(device, 0, MIN, 100);
        device.memory.discard(0, MIN);
        assertThat(device.memory.load(0, 8)).isZero();
        requireNoFrameLost(device);
    }

    @Test
    void aDiscardWhoseRevocationFailsLeavesEveryUnitInUse() {
        ElasticWorld.Device device = world.new Device(MIN, MAX);
        touchAll(device, MIN, 100);
        device.beforeRevoke = ElasticFailureTest::fail;
        assertThatThrownBy(() -> device.memory.discard(0, MIN)).hasMessage("planted");
        device.beforeRevoke = () -> {};
        requireAll(device, 0, MIN, 100);
        device.memory.discard(0, MIN);
        assertThat(device.mapped()).as("what is discarded is not mapped").isEmpty();
        requireNoFrameLost(device);
    }

    /// Somebody may wait for the units that are leaving, and hold up the unit that this waits for.
    @Test
    void aDiscardThatWaitsForAUnitKeepsNoOtherInTransit() throws InterruptedException {
        ElasticWorld.Device device = world.new Device(MIN, MAX);
        touchAll(device, MIN, 100);
        CountDownLatch copying = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        world.beforeCopy =
                () -> {
                    world.beforeCopy = () -> {};
                    copying.countDown();
                    await(goOn);
                };
        CompletableFuture<Long> reader =
                CompletableFuture.supplyAsync(
                        () -> device.memory.load(Page.addressOf(5), 8), ElasticFailureTest::start);
        copying.await();
        CompletableFuture<Void> discard =
                CompletableFuture.runAsync(
                        () -> device.memory.discard(0, MIN), ElasticFailureTest::start);
        while (device.memory.pfnOf(0).isPresent()) {
            Thread.onSpinWait();
        }

        assertThat(device.memory.load(0, 8)).isZero();

        goOn.countDown();
        assertThat(reader.join()).isEqualTo(105);
        discard.join();
        assertThat(device.memory.load(Page.addressOf(5), 8)).isZero();
        requireNoFrameLost(device);
    }

    private static void start(Runnable task) {
        Thread.ofPlatform().start(task);
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Test
    void aRevocationThatFailsIsTheTroubleOfItsDeviceOnly() {
        ElasticWorld.Device broken = world.new Device(MIN, MAX);
        ElasticWorld.Device other = world.new Device(MIN, MAX);
        touchAll(broken, MAX, 100);
        broken.beforeRevoke = ElasticFailureTest::fail;

        touchAll(other, MAX, 1000);

        requireAll(other, 0, MAX, 1000);
        assertThat(broken.mapped()).as("what it has stays mapped").hasSize(MAX);
        assertThat(world.news)
                .anyMatch(line ->
                        line.startsWith("refused " + broken.uuid) && line.contains("planted"));
        broken.beforeRevoke = () -> {};
        // A mapping that were forgotten would let its guest store to a frame of the other.
        assertThat(world.pool.makeFree(MAX - MIN)).isEqualTo(MAX - MIN);
        requireAll(broken, 0, MAX, 100);
        requireAll(other, 0, MAX, 1000);
        requireNoFrameLost(broken, other);
    }

    @Test
    void contentThatCannotBeWrittenAwayIsTheTroubleOfItsDeviceOnly() {
        ElasticWorld.Device broken = world.new Device(MIN, MAX);
        ElasticWorld.Device other = world.new Device(MIN, MAX);
        touchAll(broken, MAX, 100);
        world.beforeStore =
                () -> {
                    world.beforeStore = () -> {};
                    fail();
                };
        touchAll(other, MIN + 1, 1000);
        requireAll(other, 0, MIN + 1, 1000);
        requireAll(broken, 0, MAX, 100);
        assertThat(world.news)
                .anyMatch(line ->
                        line.startsWith("store " + broken.uuid) && line.contains("planted"));
        requireNoFrameLost(broken, other);
    }

    @Test
    void contentThatCannotBeReadIsTheTroubleOfItsDeviceOnly() {
        ElasticWorld.Device broken = world.new Device(MIN, MAX);
        ElasticWorld.Device other = world.new Device(MIN, MAX);
        touchAll(broken, MAX, 100);
        world.beforeCopy =
                () -> {
                    world.beforeCopy = () -> {};
                    fail();
                };
        touchAll(other, MIN + 1, 1000);
        requireAll(other, 0, MIN + 1, 1000);
        requireAll(broken, 0, MAX, 100);
        assertThat(world.news)
                .anyMatch(line ->
                        line.startsWith("refused " + broken.uuid) && line.contains("planted"));
        requireNoFrameLost(broken, other);
    }

    /// The first page of a unit is in the store already when its second page fails.
    @Test
    void whatTheStoreGotOfAUnitThatStayedIsNotItsContentLater() {
        ElasticWorld wide = new ElasticWorld(MIN, 2, ElasticWorld.options(), SHORT);
        ElasticWorld.Device device = wide.new Device(MIN, MAX);
        touchAll(device, 2 * MIN, 100);
        AtomicInteger stored = new AtomicInteger();
        wide.beforeStore =
                () -> {
                    if (stored.incrementAndGet() == 4) {
                        fail();
                    }
                };
        device.exchange(2 * MIN, 1);
        assertThat(wide.news).anyMatch(line -> line.startsWith("store"));

        for (int page = 0; page < 4; page++) {
            device.exchange(page, 0);
        }
        for (int page = 4; page < 2 * MAX; page++) {
            device.exchange(page, 7);
        }

        for (int page = 0; page < 4; page++) {
            assertThat(device.memory.load(Page.addressOf(page), 8)).as("page=%d", page).isZero();
        }
    }

    @Test
    void aFrameThatCannotBeScrubbedAfterAnEvictionIsQuarantinedAndTheOtherGetsItsPages() {
        ElasticWorld.Device broken = world.new Device(MIN, MAX);
        ElasticWorld.Device other = world.new Device(MIN, MAX);
        touchAll(broken, MAX, 100);
        world.beforeScrub = ElasticFailureTest::fail;

        touchAll(other, MAX, 1000);

        assertThat(world.quarantined).isNotEmpty();
        requireAll(other, 0, MAX, 1000);
        requireAll(broken, 0, MAX, 100);
        requireNoFrameLost(broken, other);
    }

    @Test
    void aFrameThatCannotBeScrubbedAfterADiscardIsQuarantined() {
        ElasticWorld.Device device = world.new Device(MIN, MAX);
        touchAll(device, MAX, 100);
        world.beforeScrub = ElasticFailureTest::fail;

        device.memory.discard(0, 4);

        assertThat(world.quarantined).hasSize(4);
        assertThat(device.memory.usage().heldPages()).isEqualTo(MAX - 4);
        touchAll(device, 4, 100);
        requireAll(device, 0, MAX, 100);
        requireNoFrameLost(device);
    }

    /// A page that cannot come back, into a frame that cannot be scrubbed then.
    @Test
    void aReturnThatFailsTwiceLeavesThePageInTheStoreAndTheFrameInQuarantine() {
        ElasticWorld.Device device = world.new Device(MIN, MAX);
        touchAll(device, MAX, 100);
        assertThat(world.pool.makeFree(MAX - MIN)).isEqualTo(MAX - MIN);
        int page = 0;
        while (device.memory.pfnOf(page).isPresent()) {
            page++;
        }
        long offset = Page.addressOf(page);
        world.beforeScrub = ElasticFailureTest::fail;
        world.beforeCopy =
                () -> {
                    world.beforeCopy = () -> {};
                    throw new MdevException(Errno.EIO, "planted");
                };

        assertThatThrownBy(() -> device.memory.load(offset, 8))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO));

        assertThat(world.quarantined).hasSize(1);
        assertThat(device.memory.load(offset, 8)).isEqualTo(100 + page);
        requireAll(device, 0, MAX, 100);
        requireNoFrameLost(device);
    }
}
