package dev.mdev.core.engine;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;
import static dev.mdev.core.engine.ScriptedDriver.LAZY_BAR;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.bus.Removal;
import dev.mdev.core.capacity.DefragPlan;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPte;
import dev.mdev.core.hostmm.MmuNotifier;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;

/// A fault at the worst moment, just after a verb removed the mappings, must not bring back a grant
/// that the verb makes meaningless, whatever engine maps it. Each engine has a test that extends
/// this.
///
/// A host that removes the mappings before the device's turn fails these tests: either its driver
/// is called while a page is mapped, or an earlier grant is mapped afterwards.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class StaleGrantContract extends EngineMachine {
    private static final String POOL = "vram";

    /// A thread for each task: those of a common pool may all be waiting.
    private static final Executor THREADS = task -> Thread.ofPlatform().daemon().start(task);

    /// A holder that stands still on request.
    private static final DeviceHolder HOLDER =
            new DeviceHolder() {
                @Override
                public String name() {
                    return "holder";
                }

                @Override
                public Optional<Pause> pause() {
                    return Optional.of(() -> {});
                }
            };

    /// Page 0 of the BAR shows this page of the share; the others follow, round and round.
    private final AtomicInteger firstPage = new AtomicInteger();

    private final List<CompletableFuture<Void>> faults = new CopyOnWriteArrayList<>();

    /// Callbacks that found a page mapped.
    private final List<String> mapped = new CopyOnWriteArrayList<>();

    private final List<MdevAssignment> held = new ArrayList<>();
    private volatile Runnable onRemoval = () -> {};
    private volatile boolean armed;
    private GuestEngine guestEngine;
    private HostMm mm;

    @BeforeEach
    void startGuest() {
        guestEngine = engine().createGuest(new AddressSpaces(SlotConfig.withoutSmm()), memory);
        mm = guestEngine.hostMm();
    }

    @AfterEach
    void closeGuest() {
        armed = false;
        held.forEach(MdevAssignment::close);
        guestEngine.close();
    }

    private record Guest(Mdev mdev, MdevAssignment assignment, Vma vma) {}

    /// A device whose page 0 is mapped, and that has another page there after each reset and each
    /// restore.
    private Guest guest() {
        driver.answer = this::answer;
        Mdev mdev = create();
        MdevAssignment assignment = mdev.assign(HOLDER);
        held.add(assignment);
        Vma vma = map(assignment);
        driver.onChange =
                (_, callback) -> {
                    long pages = vma.residentPages();
                    if (pages > 0) {
                        mapped.add("%d pages during %s".formatted(pages, callback));
                    }
                    firstPage.incrementAndGet();
                };
        touch(vma);
        mm.addNotifier(new FaultAfterRemoval(vma));
        armed = true;
        return new Guest(mdev, assignment, vma);
    }

    private MapDecision answer(ScriptedDriver.Device device, MapRequest request) {
        long page = (request.page() + firstPage.get()) % DEVICE_PAGES;
        return MapDecision.grantPage(request, device.pfnOf(page), Prot.READ_WRITE);
    }

    private Vma map(MdevAssignment assignment) {
        RegionInfo bar = assignment.mdev().region(LAZY_BAR);
        return assignment.map(mm, bar, bar.areas().getFirst());
    }

    private void touch(Vma vma) {
        var _ = mm.handleFault(vma.range().startHva(), Access.WRITE);
    }

    /// Each time that mappings were removed, a thread faults, and comes as far as it can: until it
    /// is done, or waits for the device's turn.
    private final class FaultAfterRemoval implements MmuNotifier {
        private final Vma vma;

        FaultAfterRemoval(Vma vma) {
            this.vma = vma;
        }

        @Override
        public void invalidateStart(HvaRange range) {
            onRemoval.run();
        }

        @Override
        public void invalidateEnd(HvaRange range) {
            if (!armed) {
                return;
            }
            CompletableFuture<Void> done = new CompletableFuture<>();
            faults.add(done);
            Thread faulting =
                    Thread.ofPlatform()
                            .daemon()
                            .start(() -> {
                                touch(vma);
                                done.complete(null);
                            });
            while (faulting.getState() != Thread.State.TIMED_WAITING && !done.isDone()) {
                Thread.onSpinWait();
            }
        }
    }

    private void endFaults() {
        assertThat(faults).as("faults just after a removal").isNotEmpty();
        armed = false;
        faults.forEach(CompletableFuture::join);
        assertThat(mapped).as("mappings that the driver's callbacks found").isEmpty();
    }

    /// After the fault in between, the mapped page is the page that the device grants now.
    private void assertNothingStale(Guest guest) {
        endFaults();
        long pte = mm.lookup(guest.vma.range().startHva());
        if (HostPte.isPresent(pte)) {
            long first = firstPage.get() % DEVICE_PAGES;
            assertThat(HostPte.pfn(pte)).isEqualTo(driverDevice(0).pfnOf(first));
        }
    }

    /// The mapping itself has no page any more: a lookup would not find one, once the mapping is
    /// removed from the address space.
    private void assertNothingMapped(Guest guest) {
        endFaults();
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

    private byte[] save(Guest guest) throws IOException {
        armed = false;
        ByteArrayOutputStream state = new ByteArrayOutputStream();
        var _ = bus.save(guest.mdev.uuid(), state);
        touch(guest.vma);
        return state.toByteArray();
    }

    @Test
    void afterARestore() throws IOException {
        Guest guest = guest();
        byte[] state = save(guest);
        armed = true;

        bus.restore(guest.mdev.uuid(), new ByteArrayInputStream(state));

        assertNothingStale(guest);
    }

    /// The faults come between the reset and the driver's own part of a restore.
    @Test
    void afterARestoreThatSetsRegistersLast() throws IOException {
        Guest guest = guest();
        byte[] state = save(guest);
        BiConsumer<ScriptedDriver.Device, String> change = driver.onChange;
        driver.onChange =
                (device, callback) -> {
                    change.accept(device, callback);
                    armed = true;
                };

        bus.restore(guest.mdev.uuid(), new ByteArrayInputStream(state));

        assertNothingStale(guest);
    }

    @Test
    void afterTheHolderReleasedTheDevice() {
        Guest guest = guest();

        guest.assignment.close();

        assertNothingMapped(guest);
    }

    @Test
    void afterTheDeviceOfAHolderWasStopped() {
        Guest guest = guest();

        var _ = bus.stop(guest.mdev.uuid(), Removal.forcing(Duration.ZERO));

        assertNothingMapped(guest);
    }

    @Test
    void afterTheDeviceOfAHolderWasRemoved() {
        Guest guest = guest();

        var _ = bus.remove(guest.mdev.uuid(), Removal.forcing(Duration.ZERO));

        assertNothingMapped(guest);
    }

    /// Somebody moves the device while the mappings of its holder are being removed. They are there
    /// until then, so it is too early.
    @Test
    void afterAMoveAsSoonAsTheHolderReleasedTheDevice() {
        Guest guest = guest();
        DefragPlan plan = planFor(guest);
        List<Errno> early = new CopyOnWriteArrayList<>();
        onRemoval =
                () -> {
                    try {
                        bus.defragment(plan);
                    } catch (MdevException e) {
                        early.add(e.errno());
                    }
                };

        guest.assignment.close();

        assertThat(early).as("a move while pages are mapped").containsExactly(Errno.EBUSY);
        bus.defragment(plan);
        assertNothingMapped(guest);
        assertShowsItsNewPages(guest, plan);
    }

    /// The driver has been asked before, and answers while the device is released, to be moved.
    @Test
    void afterAMoveDuringAnAnswer() {
        Guest guest = guest();
        armed = false;
        mm.zap(guest.vma.range());
        CompletableFuture<Void> asked = new CompletableFuture<>();
        CompletableFuture<Void> goOn = new CompletableFuture<>();
        driver.answer =
                (device, request) -> {
                    MapDecision old = answer(device, request);
                    asked.complete(null);
                    goOn.join();
                    return old;
                };
        CompletableFuture<Void> fault = CompletableFuture.runAsync(() -> touch(guest.vma), THREADS);
        faults.add(fault);
        asked.join();
        mm.addNotifier(
                new MmuNotifier() {
                    @Override
                    public void invalidateStart(HvaRange range) {}

                    // The entries are gone, and the mapping itself is not.
                    @Override
                    public void invalidateEnd(HvaRange range) {
                        goOn.complete(null);
                        fault.join();
                    }
                });

        guest.assignment.close();
        DefragPlan plan = planFor(guest);

        bus.defragment(plan);

        assertNothingMapped(guest);
        driver.answer = this::answer;
        assertShowsItsNewPages(guest, plan);
    }

    private DefragPlan planFor(Guest guest) {
        List<PfnRange> from = guest.mdev.share().getFirst().extents();
        PfnRange first = from.getFirst();
        List<PfnRange> to = List.of(new PfnRange(first.firstPfn() + DEVICE_PAGES, DEVICE_PAGES));
        return new DefragPlan(
                ScriptedDriver.PARENT,
                ScriptedDriver.TYPE,
                List.of(new DefragPlan.Move(guest.mdev.uuid(), POOL, from, to)));
    }

    private void assertShowsItsNewPages(Guest guest, DefragPlan plan) {
        onRemoval = () -> {};
        MdevAssignment next = guest.mdev.assign(HOLDER);
        held.add(next);
        Vma vma = map(next);
        touch(vma);
        long pfn = HostPte.pfn(mm.lookup(vma.range().startHva()));
        PfnRange target = plan.moves().getFirst().to().getFirst();
        assertThat(target.contains(new PfnRange(pfn, 1))).isTrue();
    }
}
