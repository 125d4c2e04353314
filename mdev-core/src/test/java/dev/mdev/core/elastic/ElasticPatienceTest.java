package dev.mdev.core.elastic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.gate.Deadlines;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/// Drivers that take longer to refuse than they are left alone for: while one is asked, the other
/// may be asked again. A request asks them for a bounded time.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ElasticPatienceTest {
    private static final int UNITS = 48;
    private static final int MIN = 8;
    private static final int MAX = 40;
    private static final long SLOW_NANOS = TimeUnit.MILLISECONDS.toNanos(120);

    /// More often than any deadline here allows, on any machine: each takes at least `SLOW_NANOS`.
    private static final int FOR_EVER = 100;

    private final AtomicInteger asked = new AtomicInteger();

    /// Refuses, slowly.
    private void refuse(ElasticWorld.Device device) {
        device.gives =
                (_, _) -> {
                    if (asked.incrementAndGet() > FOR_EVER) {
                        throw new AssertionError("asked for ever");
                    }
                    long end = System.nanoTime() + SLOW_NANOS;
                    while (System.nanoTime() < end) {
                        LockSupport.parkNanos(end - System.nanoTime());
                    }
                    return false;
                };
    }

    private static void touchAll(ElasticWorld.Device device, int pages) {
        for (int page = 0; page < pages; page++) {
            device.exchange(page, page + 1L);
        }
    }

    private static void assertTimesOutNaming(
            ThrowingCallable request, ElasticWorld.Device... culprits) {
        assertThatThrownBy(request)
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> {
                            assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT);
                            for (ElasticWorld.Device culprit : culprits) {
                                assertThat(e).hasMessageContaining("mdev=" + culprit.uuid);
                            }
                        });
    }

    /// It has so little above its minimum that it is asked for one unit at a time.
    private static ElasticWorld.Device rich(ElasticWorld world) {
        ElasticWorld.Device device = world.new Device(MIN, MIN + 2);
        touchAll(device, MIN + 2);
        return device;
    }

    @Test
    void aRequestOfADeviceThatGivesNothingItselfFailsAfterTheDeadlineAndNamesThem() {
        ElasticWorld world =
                new ElasticWorld(3 * MIN + 4, 1, ElasticWorld.options(), Duration.ofSeconds(1));
        ElasticWorld.Device first = rich(world);
        ElasticWorld.Device second = rich(world);
        ElasticWorld.Device third = world.new Device(MIN, MAX);
        touchAll(third, MIN);
        refuse(first);
        refuse(second);
        refuse(third);
        assertTimesOutNaming(() -> third.exchange(MIN, 1), first, third);
        assertThat(first.memory.usage().usedPages()).isEqualTo(MIN + 2);
    }

    @Test
    void aRequestOfADeviceThatCanPayItselfGetsItsPageAfterEachRefusedOnce() {
        ElasticWorld world =
                new ElasticWorld(3 * MIN + 4, 1, ElasticWorld.options(), Deadlines.HANG);
        ElasticWorld.Device first = rich(world);
        ElasticWorld.Device second = rich(world);
        ElasticWorld.Device third = world.new Device(MIN, MAX);
        touchAll(third, MIN);
        refuse(first);
        refuse(second);
        third.exchange(MIN, 1);
        assertThat(third.memory.usage().evictedPages()).isPositive();
        assertThat(asked).hasValueLessThanOrEqualTo(2);
        assertThat(world.news).anyMatch(line -> line.startsWith("refused " + first.uuid));
    }

    /// A driver that hangs takes the whole deadline of the request.
    @Test
    void aRequestThatSpentItsDeadlineOnAnotherDriverStillPaysItself() {
        ElasticWorld world =
                new ElasticWorld(2 * MIN + 2, 1, ElasticWorld.options(), Duration.ofMillis(100));
        ElasticWorld.Device first = rich(world);
        ElasticWorld.Device second = world.new Device(MIN, MAX);
        touchAll(second, MIN);
        refuse(first);
        second.exchange(MIN, 1);
        assertThat(second.memory.usage().evictedPages()).isPositive();
    }

    @Test
    void roomForANewDeviceIsAskedForUntilTheDeadlineAndThenRefusedWithTheNames() {
        ElasticWorld world =
                new ElasticWorld(2 * MIN + 4, 1, ElasticWorld.options(), Duration.ofSeconds(1));
        ElasticWorld.Device first = rich(world);
        ElasticWorld.Device second = rich(world);
        refuse(first);
        refuse(second);
        assertTimesOutNaming(() -> world.pool.makeFree(2), first);
    }

    @Test
    void aStoreThatTakesNothingEndsTheRequestForRoomWithItsError() {
        ElasticWorld world =
                new ElasticWorld(2 * MIN + 4, 1, ElasticWorld.options(), Deadlines.HANG);
        rich(world);
        rich(world);
        world.failingWrites.set(Integer.MAX_VALUE);
        assertThatThrownBy(() -> world.pool.makeFree(2))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOSPC));
    }

    @Test
    void whatIsMadeFreeForANewDeviceStaysFreeUntilThatIsThere() {
        ElasticWorld world = new ElasticWorld(UNITS, 1, ElasticWorld.options(), Deadlines.HANG);
        ElasticWorld.Device first = world.new Device(MIN, MAX);
        ElasticWorld.Device second = world.new Device(MIN, MAX);
        touchAll(first, MAX);
        touchAll(second, MIN);
        try (Reclaim reclaim = world.pool.reclaim()) {
            long freed = reclaim.makeFree(MIN);
            assertThat(freed).isGreaterThanOrEqualTo(MIN);
            touchAll(first, MAX);
            touchAll(second, MAX);
            assertThat(world.freeUnits()).isEqualTo((int) freed);
            assertThat(second.memory.usage().heldPages()).isGreaterThanOrEqualTo(MIN);
        }
        touchAll(second, MAX);
        assertThat(world.freeUnits()).isZero();
    }
}
