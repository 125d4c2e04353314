package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.ledger.Owner;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;

/// Searches for devices of others, beside adoptions, removals and leaving parents.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ForeignRaceTest {
    private static final UUID OURS = new UUID(7, 1);
    private static final UUID ALIEN = new UUID(7, 2);
    private static final String TYPE = "t4";

    private final Card card = new Card("gpu0", 16, true).with(TYPE, 4, 1, true);

    @Test
    void aDeviceThatIsAdoptedWhileItsParentLeavesIsEndedWithIt() throws Exception {
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(new SplittableRandom(1), Duration.ofSeconds(1), card).plug();
        CountDownLatch adopting = new CountDownLatch(1);
        CountDownLatch left = new CountDownLatch(1);
        world.driver.onAdopt =
                () -> {
                    adopting.countDown();
                    Deadlines.await(left);
                };
        CompletableFuture<Mdev> adopt = CompletableFuture.supplyAsync(() -> world.bus.adopt(ALIEN));
        adopting.await();

        // Its driver is busy, so the parent cannot be closed yet.
        assertFails(() -> world.bus.removeParent("gpu0", Duration.ZERO), Errno.ETIMEDOUT);
        left.countDown();

        assertThatThrownBy(adopt::join).hasMessageContaining("leaving");
        world.await(() -> world.bus.parents().isEmpty());
        assertThat(card.kept).isEmpty();
        world.close();
    }

    @Test
    void anAdoptionThatFailsWhileAnotherLooksForDevicesLeavesTheDeviceForeign() throws Exception {
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(card).plug();
        CountDownLatch adopting = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        world.driver.onRegions =
                () -> {
                    adopting.countDown();
                    Deadlines.await(goOn);
                    world.driver.devices.remove(ALIEN);
                    throw new IllegalStateException("no regions");
                };
        CompletableFuture<Mdev> adopt = CompletableFuture.supplyAsync(() -> world.bus.adopt(ALIEN));
        adopting.await();
        MdevStatus meanwhile = world.bus.status(ALIEN).orElseThrow();
        assertThat(meanwhile.activity()).isEqualTo(Activity.STARTING);
        assertThat(meanwhile.heldPages()).isEqualTo(4);
        // The driver handed it over, so it does not report the device, and then takes it back.
        world.driver.onExisting =
                () -> {
                    world.driver.onExisting = () -> {};
                    goOn.countDown();
                    assertThatThrownBy(adopt::join).hasMessageContaining("no regions");
                };

        world.bus.rescan("gpu0");

        assertThat(world.bus.status(ALIEN).orElseThrow().owner()).isEqualTo(Owner.FOREIGN);
        assertThat(card.isUntouched(ALIEN, 4)).isTrue();
        world.driver.onRegions = () -> {};
        assertThat(world.bus.adopt(ALIEN).holder()).isEmpty();
        world.bus.remove(ALIEN);
        world.check();
        world.close();
    }

    @Test
    void aDeviceThatIsAdoptedAndEndedWhileAnotherLooksForDevicesIsNotSeenAgain() {
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(card).plug();
        world.driver.onExisting =
                () -> {
                    world.driver.onExisting = () -> {};
                    var _ = world.bus.adopt(ALIEN);
                    var _ = world.bus.remove(ALIEN);
                };

        world.bus.rescan("gpu0");

        assertThat(world.bus.statuses()).isEmpty();
        assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(16);
        world.check();
        world.close();
    }

    @Test
    void aBusThatIsClosedWhileAParentArrivesTakesWhatItHadFound() throws Exception {
        BusWorld first = new BusWorld(new SplittableRandom(1), Duration.ofSeconds(1), card).plug();
        first.bus.create(OURS, "gpu0", TYPE);
        BusWorld world = first.restart();
        CountDownLatch adopting = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        world.driver.onAdopt =
                () -> {
                    adopting.countDown();
                    Deadlines.await(goOn);
                };
        CompletableFuture<Void> arrival = CompletableFuture.runAsync(world::plug);
        adopting.await();

        assertFails(() -> world.bus.close(), Errno.ETIMEDOUT);
        assertThat(world.driver.calls).as("nobody closed it").doesNotContain("close gpu0");
        goOn.countDown();

        assertThatThrownBy(arrival::join).hasMessageContaining("ESHUTDOWN");
        world.await(() -> world.bus.parents().isEmpty());
        assertThat(world.driver.calls).containsSubsequence("close " + OURS, "close gpu0");
        assertThat(card.kept).isEmpty();
        world.close();
    }

    /// Until it is over, the driver is asked which devices there are, and not closed.
    @Test
    void aParentDoesNotGoWhileSomebodyLooksForItsDevices() throws Exception {
        BusWorld world = new BusWorld(new SplittableRandom(1), Duration.ofSeconds(1), card).plug();
        CountDownLatch looking = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        card.makeAlien(ALIEN, 4);
        world.driver.onExisting =
                () -> {
                    looking.countDown();
                    Deadlines.await(goOn);
                };
        CompletableFuture<Void> rescan = CompletableFuture.runAsync(() -> world.bus.rescan("gpu0"));
        looking.await();

        assertFails(() -> world.bus.removeParent("gpu0", Duration.ZERO), Errno.ETIMEDOUT);
        assertFails(() -> world.bus.rescan("gpu0"), Errno.ENODEV);
        assertFails(() -> world.bus.repair("gpu0"), Errno.ENODEV);
        goOn.countDown();

        rescan.join();
        world.await(() -> world.bus.parents().isEmpty());
        assertThat(world.bus.statuses()).as("nothing of a parent that is gone").isEmpty();
        assertThat(card.isUntouched(ALIEN, 4)).isTrue();
        world.close();
    }
}
