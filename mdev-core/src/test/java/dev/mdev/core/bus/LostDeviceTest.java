package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.device.Parent;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.pci.RegionAccess;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;

/// Devices whose driver does not return from a callback: they are lost until it does.
class LostDeviceTest extends EndOfDevices {
    LostDeviceTest() {
        super(Duration.ofSeconds(3));
    }

    @Test
    void aDriverThatDoesNotReturnFromCloseMakesTheDeviceLostWithItsPagesHeld() throws Exception {
        create(ONE);
        create(TWO);
        world.driver.onClose =
                device -> {
                    if (device.uuid().equals(ONE)) {
                        Deadlines.await(letGo);
                    }
                };

        assertFails(() -> world.bus.remove(ONE), Errno.ETIMEDOUT, "close", "4 pages are held");

        MdevStatus status = world.bus.status(ONE).orElseThrow();
        assertThat(status.activity()).isEqualTo(Activity.LOST);
        assertThat(status.heldPages()).isEqualTo(4);
        assertThat(status.trouble().orElseThrow()).contains("close has been running");
        assertThat(world.bus.find(ONE)).isEmpty();
        assertThat(freePages()).isEqualTo(8);
        assertFails(() -> world.bus.remove(ONE), Errno.EBUSY, "lost");
        assertFails(() -> create(ONE), Errno.EEXIST, "LOST");
        // Others go on.
        world.removeAtLast(TWO);
        assertThat(world.facts(MdevEvent.Lost.class))
                .filteredOn(lost -> lost.uuid().equals(ONE))
                .singleElement()
                .satisfies(lost -> assertThat(lost.heldPages()).isEqualTo(4));

        letGo.countDown();
        awaitGone(ONE);

        assertThat(freePages()).isEqualTo(16);
        awaitRecovered(ONE);
        create(ONE);
    }

    /// Its uuid is free before that is told.
    private void awaitRecovered(UUID uuid) throws InterruptedException {
        world.await(() ->
                world.facts(MdevEvent.Recovered.class).stream()
                        .anyMatch(fact -> fact.uuid().equals(uuid)));
    }

    /// The removal has deleted a definition; a later definition is another one.
    @Test
    void aDefinitionThatIsWrittenWhileTheDeviceIsLostSurvivesARestart() {
        MdevDefinition definition = new MdevDefinition(ONE, "gpu0", TYPE, false);
        world.bus.create(definition);
        world.driver.onClose = device -> Deadlines.await(letGo);
        assertFails(() -> world.bus.remove(ONE), Errno.ETIMEDOUT, "close");

        world.bus.define(definition);
        world.restart();

        assertThat(world.bus.definitions()).containsExactly(definition);
        world.bus.undefine(ONE);
    }

    /// The disk failed when a creation was to be undone: its definition is deleted by hand, or at
    /// the next start, but a newer one is not.
    @Test
    void aDefinitionThatIsWrittenAfterAFailedCreationSurvivesARestart() {
        MdevDefinition definition = new MdevDefinition(ONE, "gpu0", TYPE, false);
        world.driver.onCreate =
                _ -> {
                    world.disk.failWith(Errno.EIO);
                    throw new IllegalStateException("fan broke");
                };
        assertFails(() -> world.bus.create(definition), Errno.EIO, "fan broke");
        world.disk.failWith(null);
        assertThat(world.bus.definitions()).as("could not be deleted").hasSize(1);

        world.bus.undefine(ONE);
        world.bus.define(definition);
        world.restart();

        assertThat(world.bus.definitions()).containsExactly(definition);
        world.bus.undefine(ONE);
    }

    @Test
    void aDeviceThatIsBusyInAnotherCallbackIsLostUntilThatReturns() throws Exception {
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign("vm7");
        CountDownLatch inCall = new CountDownLatch(1);
        CompletableFuture<RegionAccess> stuck =
                CompletableFuture.supplyAsync(() ->
                        mdev.calls()
                                                .call(
                                                        "work",
                                                        () -> {
                                                            inCall.countDown();
                                                            Deadlines.await(letGo);
                                                            return 1;
                                                        })
                                        instanceof DriverOutcome.Returned<Integer> done
                                ? new RegionAccess.Done(done.value())
                                : new RegionAccess.Done(-1));
        inCall.await();

        assertFails(
                () -> world.bus.remove(ONE, Removal.forcing(SHORT)),
                Errno.ETIMEDOUT,
                "work has been running");

        assertThat(world.driver.devices).containsKey(ONE);
        letGo.countDown();
        stuck.get();
        awaitGone(ONE);
        assertThat(world.driver.devices).doesNotContainKey(ONE);
        assertThat(held.read(CardDriver.REGISTERS, 0, 4)).isInstanceOf(RegionAccess.Failed.class);
    }

    @Test
    void aFailedCreationWhoseDeviceDoesNotCloseIsLostToo() throws Exception {
        world.driver.onClose = _ -> Deadlines.await(letGo);
        world.driver.onRegions =
                () -> {
                    throw new IllegalStateException("no regions");
                };

        assertFails(() -> create(ONE), Errno.EIO, "no regions");

        assertThat(world.bus.status(ONE).orElseThrow().activity()).isEqualTo(Activity.LOST);
        assertThat(freePages()).isEqualTo(12);
        letGo.countDown();
        awaitGone(ONE);
        assertThat(freePages()).isEqualTo(16);
    }

    @Test
    void aParentWithALostDeviceGoesWhenThatIsGone() throws Exception {
        create(ONE);
        create(TWO);
        CountDownLatch parentClosed = new CountDownLatch(1);
        world.driver.onParentClose = parentClosed::countDown;
        world.driver.onClose =
                device -> {
                    if (device.uuid().equals(ONE)) {
                        Deadlines.await(letGo);
                    }
                };

        assertFails(() -> world.bus.removeParent("gpu0", SHORT), Errno.ETIMEDOUT, "gpu0");

        assertThat(world.bus.status(ONE).orElseThrow().activity()).isEqualTo(Activity.LOST);
        assertThat(world.bus.status(TWO)).isEmpty();
        assertThat(world.bus.parent("gpu0").presence()).isEqualTo(Parent.Presence.LEAVING);
        assertThat(world.driver.calls).doesNotContain("close gpu0");
        assertFails(() -> create(TWO), Errno.ENODEV, "LEAVING");

        letGo.countDown();
        parentClosed.await();
        world.closeAtLast();
        assertThat(world.bus.parents()).isEmpty();
    }

    @Test
    void aDeviceThatIsMadeWhileItsParentGoesIsEnded() throws Exception {
        CountDownLatch inCreate = new CountDownLatch(1);
        world.driver.onCreate =
                _ -> {
                    inCreate.countDown();
                    Deadlines.await(letGo);
                };
        CompletableFuture<Mdev> making = CompletableFuture.supplyAsync(() -> create(ONE));
        inCreate.await();

        assertFails(() -> world.bus.removeParent("gpu0", Duration.ZERO), Errno.ETIMEDOUT);
        letGo.countDown();

        assertThatThrownBy(making::join).hasMessageContaining("ended in the meantime");
        world.closeAtLast();
        assertThat(world.driver.devices).isEmpty();
        assertThat(world.driver.calls).endsWith("close gpu0");
    }

    @Test
    void closingTheBusWithALostDeviceSaysSoAndWorksOnceItIsGone() throws Exception {
        create(ONE);
        world.driver.onClose = _ -> Deadlines.await(letGo);

        assertFails(() -> world.bus.close(), Errno.ETIMEDOUT, "gpu0");

        letGo.countDown();
        awaitGone(ONE);
        world.closeAtLast();
        assertThat(card.vram.isZero(0, 16)).isTrue();
    }
}
