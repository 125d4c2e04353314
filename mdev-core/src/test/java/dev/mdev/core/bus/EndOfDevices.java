package dev.mdev.core.bus;

import dev.mdev.core.device.Mdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;

/// A card with devices of four pages, and drivers that a test lets return; everything is gone, and
/// every page has its owner, after each test.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
abstract class EndOfDevices {
    static final UUID ONE = new UUID(2, 1);
    static final UUID TWO = new UUID(2, 2);
    static final String TYPE = "t4";
    static final Duration SHORT = Duration.ofMillis(50);

    final Card card = new Card("gpu0", 16, false).with(TYPE, 4, 1, true);
    final BusWorld world;
    final CountDownLatch letGo = new CountDownLatch(1);

    /// @param deadline of the bus
    EndOfDevices(Duration deadline) {
        world = new BusWorld(new SplittableRandom(1), deadline, card).plug();
    }

    @AfterEach
    final void end() throws InterruptedException {
        letGo.countDown();
        for (MdevStatus status : world.bus.statuses()) {
            awaitGone(status.uuid());
        }
        world.check();
        world.close();
    }

    final void awaitGone(UUID uuid) throws InterruptedException {
        if (world.bus.find(uuid).isPresent()) {
            world.atLast(
                    () -> world.bus.remove(uuid, Removal.forcing(Duration.ZERO)),
                    () -> world.bus.status(uuid).isEmpty());
        }
        world.await(() -> world.bus.status(uuid).isEmpty());
    }

    final Mdev create(UUID uuid) {
        return world.bus.create(uuid, "gpu0", TYPE);
    }

    final long freePages() {
        return world.bus.parent("gpu0").usage().getFirst().freePages();
    }
}
