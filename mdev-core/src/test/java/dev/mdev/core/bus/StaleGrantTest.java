package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.capacity.DefragPlan;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPte;
import dev.mdev.core.hostmm.MmuNotifier;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;

/// A fault at the worst moment, just after a verb removed the mappings, must not bring back a grant
/// that the verb makes meaningless. A host that removes the mappings before the device's turn fails
/// these tests.
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class StaleGrantTest {
    private static final UUID ONE = new UUID(12, 1);
    private static final long PAGES = 16;

    /// A thread for each task: those of a common pool may all be waiting.
    private static final Executor THREADS = task -> Thread.ofPlatform().daemon().start(task);

    private final BusWorld world =
            new BusWorld(new Card("gpu0", 64, false).with("t16", PAGES, 1, true)).plug();

    private final GuestEngine engine =
            new SoftwareEngine(BusWorld.DEADLINE)
                    .createGuest(new AddressSpaces(SlotConfig.withoutSmm()), world.memory());
    private final HostMm mm = engine.hostMm();
    private final List<CompletableFuture<Void>> faults = new CopyOnWriteArrayList<>();
    private final List<MdevAssignment> held = new ArrayList<>();
    private volatile boolean armed;

    @AfterEach
    void close() {
        armed = false;
        held.forEach(MdevAssignment::close);
        engine.close();
        world.close();
    }

    /// A holder that stands still on request.
    private static final DeviceHolder HOLDER =
            new DeviceHolder() {
                @Override
                public String name() {
                    return "vm";
                }

                @Override
                public Optional<Pause> pause() {
                    return Optional.of(() -> {});
                }
            };

    private record Guest(Mdev mdev, MdevAssignment assignment, Vma vma) {}

    /// A device whose page 0 is mapped, and that has another page there after each reset and each
    /// restore.
    private Guest guest() {
        Mdev mdev = world.bus.create(ONE, "gpu0", "t16");
        MdevAssignment assignment = mdev.assign(HOLDER);
        held.add(assignment);
        RegionInfo bar = mdev.region(CardDriver.BAR);
        Vma vma = assignment.map(mm, bar, bar.areas().getFirst());
        world.driver.onReset = _ -> world.driver.firstPage.incrementAndGet();
        world.driver.onRestore = () -> world.driver.firstPage.incrementAndGet();
        touch(vma);
        mm.addNotifier(new FaultAfterZap(vma));
        armed = true;
        return new Guest(mdev, assignment, vma);
    }

    private void touch(Vma vma) {
        var _ = mm.handleFault(vma.range().startHva(), Access.WRITE);
    }

    /// Each time that mappings were removed, a thread faults, and comes as far as it can: until it
    /// is done, or waits for the device's turn.
    private final class FaultAfterZap implements MmuNotifier {
        private final Vma vma;

        FaultAfterZap(Vma vma) {
            this.vma = vma;
        }

        @Override
        public void invalidateStart(HvaRange range) {}

        @Override
        public void invalidateEnd(HvaRange range) {
            if (!armed) {
                return;
            }
            CompletableFuture<Void> done = new CompletableFuture<>();
            faults.add(done);
            Thread faulting =
                    Thread.ofPlatform()
                            .start(() -> {
                                touch(vma);
                                done.complete(null);
                            });
            while (faulting.getState() != Thread.State.TIMED_WAITING && !done.isDone()) {
                Thread.onSpinWait();
            }
        }
    }

    /// After the fault in between, the mapped page is the page that the device grants now.
    private void assertNothingStale(Guest guest) {
        assertThat(faults).as("faults just after the removal").isNotEmpty();
        armed = false;
        faults.forEach(CompletableFuture::join);
        long pte = mm.lookup(guest.vma.range().startHva());
        if (HostPte.isPresent(pte)) {
            CardDriver.Device device = world.driver.device(ONE);
            assertThat(HostPte.pfn(pte)).isEqualTo(device.pfnOf(0));
        }
    }

    /// The mapping itself has no page any more: a lookup would not find one, once the mapping is
    /// removed from the address space.
    private void assertNothingMapped(Guest guest) {
        armed = false;
        faults.forEach(CompletableFuture::join);
        assertThat(guest.vma.residentPages()).isZero();
        assertThat(mm.lookup(guest.vma.range().startHva())).isEqualTo(HostPte.NONE);
    }

    @Test
    void afterAnOperatorsReset() {
        Guest guest = guest();

        guest.mdev.reset();

        assertNothingStale(guest);
    }

    @Test
    void afterAGuestsFunctionLevelReset() {
        Guest guest = guest();

        assertThat(guest.assignment.reset()).isEmpty();

        assertNothingStale(guest);
    }

    @Test
    void afterARestore() throws IOException {
        Guest guest = guest();
        armed = false;
        ByteArrayOutputStream state = new ByteArrayOutputStream();
        world.bus.save(ONE, state);
        touch(guest.vma);
        armed = true;

        world.bus.restore(ONE, new ByteArrayInputStream(state.toByteArray()));

        assertNothingStale(guest);
    }

    /// The fault comes between the reset and the driver's own part of a restore.
    @Test
    void afterARestoreThatSetsRegistersLast() throws IOException {
        Guest guest = guest();
        armed = false;
        ByteArrayOutputStream state = new ByteArrayOutputStream();
        world.bus.save(ONE, state);
        world.driver.onReset =
                _ -> {
                    world.driver.firstPage.incrementAndGet();
                    armed = true;
                };

        world.bus.restore(ONE, new ByteArrayInputStream(state.toByteArray()));

        assertNothingStale(guest);
    }

    @Test
    void afterTheDeviceWasTakenBackFromItsHolder() {
        Guest guest = guest();

        guest.assignment.close();

        assertNothingMapped(guest);
    }

    @Test
    void afterTheDeviceWasRemovedByForce() {
        Guest guest = guest();

        world.bus.remove(ONE, Removal.forcing(Duration.ZERO));

        assertNothingMapped(guest);
    }

    /// A fault that the driver answers while the device is taken back and moved.
    @Test
    void afterTheDeviceWasMoved() {
        Guest guest = guest();
        armed = false;
        mm.zap(guest.vma.range());
        CompletableFuture<Void> asked = new CompletableFuture<>();
        CompletableFuture<Void> goOn = new CompletableFuture<>();
        world.driver.onAsked =
                () -> {
                    asked.complete(null);
                    goOn.join();
                };
        CompletableFuture<Void> fault = CompletableFuture.runAsync(() -> touch(guest.vma), THREADS);
        asked.join();
        CompletableFuture<Void> takenBack =
                CompletableFuture.runAsync(guest.assignment::close, THREADS);
        goOn.complete(null);
        takenBack.join();
        PfnRange old = guest.mdev.share().getFirst().extents().getFirst();
        PfnRange target = new PfnRange(old.firstPfn() + PAGES, PAGES);

        world.bus.defragment(
                new DefragPlan(
                        "gpu0",
                        "t16",
                        List.of(
                                new DefragPlan.Move(
                                        ONE, Card.POOL, List.of(old), List.of(target)))));

        fault.join();
        assertNothingMapped(guest);
        RegionInfo bar = guest.mdev.region(CardDriver.BAR);
        MdevAssignment next = guest.mdev.assign(HOLDER);
        Vma vma = next.map(mm, bar, bar.areas().getFirst());
        touch(vma);
        long pfn = HostPte.pfn(mm.lookup(vma.range().startHva()));
        assertThat(target.contains(new PfnRange(pfn, 1))).isTrue();
        next.close();
    }

    @Test
    void aDriverThatRevokesEachOfItsAnswersIsNamedWithThePage() {
        GuestEngine hasty =
                new SoftwareEngine(Duration.ofMillis(100))
                        .createGuest(new AddressSpaces(SlotConfig.withoutSmm()), world.memory());
        Mdev mdev = world.bus.create(ONE, "gpu0", "t16");
        MdevAssignment assignment = mdev.assign(HOLDER);
        held.add(assignment);
        RegionInfo bar = mdev.region(CardDriver.BAR);
        Vma vma = assignment.map(hasty.hostMm(), bar, bar.areas().getFirst());
        world.driver.onAsked =
                () -> world.driver.device(ONE).context.revoke(CardDriver.BAR, 0, PAGES);

        FaultResult result =
                hasty.hostMm().handleFault(vma.range().startHva() + 3 * 4096, Access.WRITE);

        assertThat(result.toString())
                .contains("EAGAIN")
                .contains("mdev=" + ONE)
                .contains("revoked each of its")
                .contains("page=0x3");
        assertThat(mdev.recentFaults().getFirst().answer()).contains("revoked each of its");
        assertThat(mdev.residentPages()).isZero();
        world.driver.onAsked = () -> {};
        assignment.unmap(vma);
        hasty.close();
    }
}
