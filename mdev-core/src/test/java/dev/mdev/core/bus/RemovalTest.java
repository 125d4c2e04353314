package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.device.NoGuest;
import dev.mdev.core.device.Parent;
import dev.mdev.core.pci.PciFunction;
import dev.mdev.core.pci.RegionAccess;
import dev.mdev.core.support.Together;
import dev.mdev.core.sync.LongWork;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/// Removal of devices that have a holder, and of devices whose driver does not let go.
class RemovalTest extends EndOfDevices {
    private static final Duration LONG = Deadlines.HANG;

    RemovalTest() {
        super(Deadlines.HANG);
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
    void aRemovalThatIsCancelledWhileItWaitsLeavesTheDeviceToItsHolder() {
        LongWork work = new LongWork();
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign(holder("vm7", () -> assertThat(work.cancel()).isEmpty()));

        assertFails(
                () -> work.call(() -> world.bus.remove(ONE, Removal.forcing(LONG))),
                Errno.ECANCELED,
                "ended early");

        assertThat(world.bus.find(ONE)).hasValue(mdev);
        assertThat(held.write(CardDriver.REGISTERS, 0, 4, 42)).isEqualTo(new RegionAccess.Done(0));
        held.close();
        mdev.assign("vm8").close();
        assertThat(world.bus.remove(ONE).holder()).isEmpty();
        assertThat(freePages()).isEqualTo(16);
    }

    @Test
    void aRemovalThatHasBegunCannotBeCancelledAndTellsOfItsPages() {
        LongWork work = new LongWork();
        long pages = create(ONE).heldPages();

        var _ = work.call(() -> world.bus.remove(ONE));

        assertThat(work.cancel()).contains("mdev=%s is being ended".formatted(ONE));
        assertThat(work.progress()).contains(new LongWork.Progress("pages", pages, pages));
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
        MdevAssignment held = mdev.assign(holder("vm7", () -> Deadlines.await(letGo)));
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
                    Deadlines.await(letGo);
                };
        CompletableFuture<Void> reset =
                CompletableFuture.runAsync(() -> world.bus.reset(ONE), Thread::startVirtualThread);
        resetting.await();
        // It is not being removed before its reset is over or taken over.
        CompletableFuture<Void> leaving =
                CompletableFuture.runAsync(
                        () -> world.bus.removeParent("gpu0", LONG), Thread::startVirtualThread);
        Parent parent = world.bus.parent("gpu0");
        Together.await("leaving", () -> parent.presence() == Parent.Presence.LEAVING);

        assertFails(() -> mdev.assign("vm1"), Errno.ENODEV, "leaving");

        letGo.countDown();
        leaving.join();
        reset.join();
        assertThat(mdev.holder()).isEmpty();
    }

    @Test
    void aRemovalByForceWaitsForWorkThatGetsOn() throws Exception {
        create(ONE);
        CountDownLatch resetting = new CountDownLatch(1);
        world.driver.onReset =
                _ -> {
                    resetting.countDown();
                    Deadlines.await(letGo);
                };
        CompletableFuture<Void> reset = CompletableFuture.runAsync(() -> world.bus.reset(ONE));
        resetting.await();
        CompletableFuture<RemovalReport> removal =
                CompletableFuture.supplyAsync(() -> world.bus.remove(ONE, Removal.forcing(LONG)));

        letGo.countDown();

        assertThat(removal.get())
                .isEqualTo(new RemovalReport(Optional.empty(), false, Optional.empty()));
        reset.join();
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
}
