package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.device.NoGuest;
import dev.mdev.core.device.Parent;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.pci.PciFunction;
import dev.mdev.core.pci.RegionAccess;
import dev.mdev.core.support.Together;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/// Removal of devices that have a holder, and of devices whose driver does not let go.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RemovalTest {
    private static final UUID ONE = new UUID(2, 1);
    private static final UUID TWO = new UUID(2, 2);
    private static final String TYPE = "t4";
    private static final Duration LONG = Duration.ofSeconds(30);
    private static final Duration SHORT = Duration.ofMillis(50);

    private final Card card = new Card("gpu0", 16, false).with(TYPE, 4, 1, true);
    private final BusWorld world =
            new BusWorld(new SplittableRandom(1), Duration.ofSeconds(1), card).plug();
    private final CountDownLatch letGo = new CountDownLatch(1);

    @AfterEach
    void end() throws InterruptedException {
        letGo.countDown();
        for (MdevStatus status : world.bus.statuses()) {
            awaitGone(status.uuid());
        }
        world.check();
        world.close();
    }

    private static void assertFails(ThrowingCallable call, Errno errno, String... words) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> {
                            assertThat(e.errno()).as("%s", e.getMessage()).isEqualTo(errno);
                            assertThat(List.of(words)).allMatch(e.getMessage()::contains);
                        });
    }

    private void awaitGone(UUID uuid) throws InterruptedException {
        if (world.bus.find(uuid).isPresent()) {
            world.bus.remove(uuid, Removal.forcing(Duration.ZERO));
        }
        world.await(() -> world.bus.status(uuid).isEmpty());
    }

    private Mdev create(UUID uuid) {
        return world.bus.create(uuid, "gpu0", TYPE);
    }

    private long freePages() {
        return world.bus.parent("gpu0").usage().getFirst().freePages();
    }

    /// A holder that does what a test says when it is asked.
    private static DeviceHolder holder(String name, Runnable whenAsked) {
        return new DeviceHolder() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public void releaseRequested(UUID uuid, Duration grace) {
                whenAsked.run();
            }
        };
    }

    @Test
    void aHolderThatLetsGoWhenAskedLosesNothing() {
        Mdev mdev = create(ONE);
        AtomicReference<MdevAssignment> held = new AtomicReference<>();
        held.set(mdev.assign(holder("vm7", () -> held.get().close())));

        assertThat(world.bus.remove(ONE, Removal.asking(LONG)))
                .isEqualTo(new RemovalReport(Optional.of("vm7"), false, Optional.empty()));

        assertThat(world.bus.status(ONE)).isEmpty();
        assertThat(freePages()).isEqualTo(16);
        assertThat(world.facts(MdevEvent.ReleaseRequested.class))
                .containsExactly(new MdevEvent.ReleaseRequested(ONE, "vm7", LONG));
        assertThat(world.facts(MdevEvent.Revoked.class)).isEmpty();
    }

    @Test
    void withoutForceTheRemovalGivesUpNamingTheHolderAndTheDeviceGoesOn() {
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign("vm7");

        assertFails(
                () -> world.bus.remove(ONE, Removal.asking(SHORT)), Errno.EBUSY, "vm7", "50 ms");
        assertFails(() -> world.bus.remove(ONE), Errno.EBUSY, "assigned to vm7");

        assertThat(world.bus.find(ONE)).hasValue(mdev);
        assertThat(held.write(CardDriver.REGISTERS, 0, 4, 42)).isEqualTo(new RegionAccess.Done(0));
        assertThat(held.read(CardDriver.REGISTERS, 0, 4)).isEqualTo(new RegionAccess.Done(42));
        held.close();
        MdevAssignment next = mdev.assign("vm8");
        next.close();
    }

    @Test
    void aHolderIsNotAskedWhenItHasNoTimeToAnswer() {
        AtomicInteger asked = new AtomicInteger();
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign(holder("vm7", asked::incrementAndGet));

        assertFails(() -> world.bus.remove(ONE), Errno.EBUSY);

        assertThat(asked).hasValue(0);
        assertThat(world.facts(MdevEvent.ReleaseRequested.class)).isEmpty();
        held.close();
    }

    @Test
    void withForceTheDeviceIsTakenFromAHolderThatDoesNotAnswer() {
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign(holder("vm7", () -> LifeCycleTest.await(letGo)));
        CardDriver.Device device = world.driver.device(ONE);

        assertThat(world.bus.remove(ONE, Removal.forcing(SHORT)))
                .isEqualTo(new RemovalReport(Optional.of("vm7"), true, Optional.empty()));

        assertThat(world.bus.status(ONE)).isEmpty();
        assertThat(device.closed).isTrue();
        assertThat(freePages()).isEqualTo(16);
        assertThat(world.facts(MdevEvent.Revoked.class))
                .containsExactly(new MdevEvent.Revoked(ONE, "vm7"));
        RegionAccess late = held.read(CardDriver.REGISTERS, 0, 4);
        assertThat(late)
                .isInstanceOfSatisfying(
                        RegionAccess.Failed.class,
                        failed -> assertThat(failed.refusal().errno()).isEqualTo(Errno.ENODEV));
        held.close();
        assertThat(device.touchedAfterClose).as("driver code runs after close").isFalse();
        assertFails(() -> mdev.assign("vm8"), Errno.ENODEV);
    }

    @Test
    void whileARemovalWaitsNobodyElseGetsTheDevice() throws Exception {
        CountDownLatch asked = new CountDownLatch(1);
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign(holder("vm7", asked::countDown));
        CompletableFuture<?> removal =
                CompletableFuture.runAsync(() -> world.bus.remove(ONE, Removal.asking(LONG)));
        asked.await();

        assertFails(() -> mdev.assign("vm8"), Errno.ENODEV);
        assertFails(() -> world.bus.remove(ONE), Errno.EAGAIN);
        assertFails(() -> world.bus.promote(ONE, true), Errno.EAGAIN);
        held.close();

        removal.get();
        assertThat(world.bus.status(ONE)).isEmpty();
    }

    @Test
    void anInterruptedRemovalLeavesTheDeviceAsItWas() throws Exception {
        CountDownLatch asked = new CountDownLatch(1);
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign(holder("vm7", asked::countDown));
        CompletableFuture<Throwable> outcome = new CompletableFuture<>();
        Thread remover =
                Thread.ofPlatform()
                        .start(() -> {
                            try {
                                world.bus.remove(ONE, Removal.forcing(LONG));
                                outcome.complete(new AssertionError("removed"));
                            } catch (MdevException e) {
                                outcome.complete(e);
                            }
                        });
        asked.await();
        remover.interrupt();

        assertThat(outcome.get())
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINTR));
        assertThat(world.bus.find(ONE)).hasValue(mdev);
        held.close();
    }

    @Test
    void aDriverThatDoesNotReturnFromCloseMakesTheDeviceLostWithItsPagesHeld() throws Exception {
        create(ONE);
        create(TWO);
        world.driver.onClose =
                device -> {
                    if (device.uuid().equals(ONE)) {
                        LifeCycleTest.await(letGo);
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
        assertThat(world.bus.remove(TWO).trouble()).as("others go on").isEmpty();
        assertThat(world.facts(MdevEvent.Lost.class))
                .singleElement()
                .satisfies(lost -> assertThat(lost.heldPages()).isEqualTo(4));

        letGo.countDown();
        awaitGone(ONE);

        assertThat(freePages()).isEqualTo(16);
        assertThat(world.facts(MdevEvent.Recovered.class)).hasSize(1);
        create(ONE);
    }

    /// The removal has deleted a definition; a later definition is another one.
    @Test
    void aDefinitionThatIsWrittenWhileTheDeviceIsLostSurvivesARestart() {
        MdevDefinition definition = new MdevDefinition(ONE, "gpu0", TYPE, false);
        world.bus.create(definition);
        world.driver.onClose = device -> LifeCycleTest.await(letGo);
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
                                                            LifeCycleTest.await(letGo);
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
    void whatTheDriverSaysWhenItClosesIsToldAndTheDeviceIsGoneAllTheSame() {
        create(ONE);
        world.driver.onClose =
                device -> {
                    world.driver.devices.remove(device.uuid());
                    throw new IllegalStateException("fan broke");
                };

        assertThat(world.bus.remove(ONE).trouble().orElseThrow()).contains("fan broke");

        assertThat(world.bus.status(ONE)).isEmpty();
        assertThat(freePages()).isEqualTo(16);
    }

    @Test
    void aFailedCreationWhoseDeviceDoesNotCloseIsLostToo() throws Exception {
        world.driver.onClose = _ -> LifeCycleTest.await(letGo);
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
    void aParentThatGoesTakesItsDevicesFromTheirHolders() {
        create(ONE).assign("vm7");
        create(TWO);

        world.bus.removeParent("gpu0", SHORT);

        assertThat(world.bus.parents()).isEmpty();
        assertThat(world.bus.statuses()).isEmpty();
        assertThat(world.driver.calls)
                .endsWith("close gpu0")
                .contains("close " + ONE, "close " + TWO);
        assertThat(world.facts(MdevEvent.ParentLeft.class)).hasSize(1);
        assertThat(card.vram.isZero(0, 16)).isTrue();
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
                        LifeCycleTest.await(letGo);
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
        world.bus.close();
        assertThat(world.bus.parents()).isEmpty();
    }

    @Test
    void aDeviceThatIsMadeWhileItsParentGoesIsEnded() throws Exception {
        CountDownLatch inCreate = new CountDownLatch(1);
        world.driver.onCreate =
                _ -> {
                    inCreate.countDown();
                    LifeCycleTest.await(letGo);
                };
        CompletableFuture<Mdev> making = CompletableFuture.supplyAsync(() -> create(ONE));
        inCreate.await();

        assertFails(() -> world.bus.removeParent("gpu0", Duration.ZERO), Errno.ETIMEDOUT);
        letGo.countDown();

        assertThatThrownBy(making::join).hasMessageContaining("ended in the meantime");
        world.bus.close();
        assertThat(world.driver.devices).isEmpty();
        assertThat(world.driver.calls).endsWith("close gpu0");
    }

    @Test
    void aParentOfWhichSomebodyHasADeviceStaysAsItIsIfOnlyAnUnusedOneIsToGo() {
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign("vm7");

        assertFails(() -> world.bus.removeUnusedParent("gpu0"), Errno.EBUSY, ONE.toString(), "vm7");

        assertThat(world.bus.parent("gpu0").presence()).isEqualTo(Parent.Presence.PRESENT);
        create(TWO);
        held.close();
        world.bus.removeUnusedParent("gpu0");
        assertThat(world.bus.parents()).isEmpty();
    }

    @Test
    void nobodyGetsADeviceOfAParentThatIsLeaving() throws Exception {
        Mdev mdev = create(ONE);
        CountDownLatch resetting = new CountDownLatch(1);
        world.driver.onReset =
                _ -> {
                    resetting.countDown();
                    LifeCycleTest.await(letGo);
                };
        CompletableFuture<Void> reset =
                CompletableFuture.runAsync(() -> world.bus.reset(ONE), Thread::startVirtualThread);
        resetting.await();
        // It is not being removed before its reset is over or taken over.
        CompletableFuture<Void> leaving =
                CompletableFuture.runAsync(
                        () -> world.bus.removeParent("gpu0", Duration.ofMinutes(1)),
                        Thread::startVirtualThread);
        Parent parent = world.bus.parent("gpu0");
        Together.await("leaving", () -> parent.presence() == Parent.Presence.LEAVING);

        assertFails(() -> mdev.assign("vm1"), Errno.ENODEV, "leaving");

        letGo.countDown();
        leaving.join();
        reset.join();
        assertThat(mdev.holder()).isEmpty();
    }

    @Test
    void aDeviceThatEndsBeforeItsGuestIsConnectedIsNotConnected() {
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign("vm7");
        PciFunction function =
                new PciFunction(
                        held,
                        new PciFunction.Owner() {
                            @Override
                            public void windowsChanged() {}

                            @Override
                            public long gpaLimit() {
                                return 1L << 40;
                            }
                        });
        world.bus.remove(ONE, Removal.forcing(Duration.ZERO));

        assertFails(() -> function.connect(NoGuest.INSTANCE), Errno.ENODEV);

        held.close();
    }

    @Test
    void aDeviceWhoseResetEndsInAnErrorIsGivenBackAndNobodyGetsItBeforeAReset() {
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign("vm7");
        world.driver.onReset =
                _ -> {
                    throw new OutOfMemoryError("of the driver's own");
                };

        held.close();

        assertThat(mdev.holder()).isEmpty();
        assertFails(() -> mdev.assign("vm8"), Errno.EIO, "reset", "of the driver's own");
        world.driver.onReset = _ -> {};
        world.bus.reset(ONE);
        MdevAssignment next = mdev.assign("vm8");
        next.close();
    }

    @Test
    void aDeviceAndAParentWhoseCloseEndsInAnErrorAreGoneAllTheSame() {
        create(ONE);
        world.driver.onClose =
                _ -> {
                    throw new InternalError("of the device");
                };
        world.driver.onParentClose =
                () -> {
                    throw new InternalError("of the parent");
                };

        world.bus.removeParent("gpu0", SHORT);

        assertThat(world.bus.statuses()).isEmpty();
        assertThat(world.bus.parents()).isEmpty();
        assertThat(world.facts(MdevEvent.Stopped.class))
                .singleElement()
                .satisfies(
                        fact -> assertThat(fact.trouble().orElseThrow()).contains("of the device"));
        assertThat(world.facts(MdevEvent.ParentLeft.class))
                .singleElement()
                .satisfies(
                        fact -> assertThat(fact.trouble().orElseThrow()).contains("of the parent"));
    }

    @Test
    void closingTheBusWithALostDeviceSaysSoAndWorksOnceItIsGone() throws Exception {
        create(ONE);
        world.driver.onClose = _ -> LifeCycleTest.await(letGo);

        assertFails(() -> world.bus.close(), Errno.ETIMEDOUT, "gpu0");

        letGo.countDown();
        awaitGone(ONE);
        world.bus.close();
        assertThat(card.vram.isZero(0, 16)).isTrue();
    }
}
