package dev.mdev.core.elastic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/// Devices that end while their frames are on the way: each frame is free once afterwards, and
/// nobody touches it any more.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ElasticEndTest {
    private static final int UNITS = 48;
    private static final int MIN = 8;
    private static final int MAX = 40;
    private static final Set<Thread.State> STANDS =
            EnumSet.of(Thread.State.WAITING, Thread.State.TERMINATED);

    private final ElasticWorld world =
            new ElasticWorld(UNITS, 1, ElasticWorld.options(), Deadlines.HANG);
    private final ElasticWorld.Device first = world.new Device(MIN, MAX);
    private final ElasticWorld.Device second = world.new Device(MIN, MAX);
    private final CompletableFuture<Void> ended = new CompletableFuture<>();

    /// Ends a device on a thread of its own, until that is done or waits for others.
    private void end(ElasticWorld.Device device) {
        Thread ending =
                Thread.ofPlatform()
                        .start(() -> {
                            try {
                                device.memory.retire();
                                device.end();
                                ended.complete(null);
                            } catch (RuntimeException | Error e) {
                                ended.completeExceptionally(e);
                            }
                        });
        while (!STANDS.contains(ending.getState())) {
            Thread.onSpinWait();
        }
    }

    private static void touchAll(ElasticWorld.Device device, int pages) {
        for (int page = 0; page < pages; page++) {
            device.exchange(page, page + 1L);
        }
    }

    /// Touches one page more than fits.
    private static void touchOneMore(ElasticWorld.Device device, int page) {
        try {
            device.exchange(page, 7);
        } catch (MdevException e) {
            // The device may have ended before it got the page.
            assertThat(e.errno()).isEqualTo(Errno.ENODEV);
        }
    }

    private void requireAllFree(ElasticWorld.Device left) {
        try {
            ended.join();
        } catch (CompletionException e) {
            throw new AssertionError(e);
        }
        left.end();
        assertThat(world.freeUnits()).isEqualTo(UNITS);
        // Nobody who thought that they were its own has written to them.
        ElasticWorld.Device next = world.new Device(UNITS, UNITS + 1);
        for (int page = 0; page < UNITS; page++) {
            assertThat(next.exchange(page, 1)).isZero();
        }
    }

    @Test
    void aDeviceThatEndsWhileItsFramesAreScrubbedForAnotherWaitsForThat() {
        touchAll(first, MAX);
        touchAll(second, MIN);
        world.beforeScrub = () -> end(first);
        touchOneMore(second, MIN);
        requireAllFree(second);
    }

    @Test
    void aDeviceThatEndsWhileItWaitsForAFrameOfAnotherReturnsIt() {
        touchAll(first, MAX);
        touchAll(second, MIN);
        world.beforeScrub = () -> end(second);
        touchOneMore(second, MIN);
        requireAllFree(first);
    }

    @Test
    void aDeviceThatEndsWhileItPaysItselfWaitsForThat() {
        touchAll(first, MAX);
        int freed = (int) world.pool.makeFree(MIN);
        touchAll(second, MIN + freed);
        assertThat(world.freeUnits()).isZero();
        int page = 0;
        while (first.memory.pfnOf(page).isPresent()) {
            page++;
        }
        world.beforeScrub = () -> end(first);
        touchOneMore(first, page);
        requireAllFree(second);
    }

    @Test
    void aDeviceThatEndsWhileItGetsFreeFramesReturnsThem() {
        touchAll(first, MIN);
        world.beforeBorrow =
                () -> {
                    world.beforeBorrow = () -> {};
                    end(first);
                };
        touchOneMore(first, MIN);
        requireAllFree(second);
    }

    @Test
    void aDeviceThatEndsWhileItsFramesBecomeFreeWaitsForThat() {
        touchAll(first, MAX);
        world.beforeScrub = () -> end(first);
        var _ = world.pool.makeFree(1);
        requireAllFree(second);
    }
}
