package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.elastic.ElasticUsage;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.mapping.FaultRecord;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.support.TestParent;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.GuestProgram.Step;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.function.BiFunction;

/// Guests on devices whose drivers do not do what they should with elastic pages: the trouble is
/// named, and every other guest gets its pages.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ElasticHostilityTest {
    private static final int PAGES = 48;
    private static final int MIN = 8;
    private static final int MAX = 40;
    private static final Duration HASTY = Duration.ofSeconds(2);

    private final List<MdevEvent> events = new CopyOnWriteArrayList<>();
    private final Driver driver = new Driver();
    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final CountDownLatch released = new CountDownLatch(1);
    private final List<VirtualMachine> machines = new ArrayList<>();
    private MdevBus bus = bus(Deadlines.HANG);

    private MdevBus bus(Duration callDeadline) {
        return new MdevBus(
                memory,
                new MemoryFiles(),
                BusOptions.of(
                        callDeadline,
                        new MdevObserver() {
                            @Override
                            public void event(MdevEvent event) {
                                events.add(event);
                            }
                        }));
    }

    @AfterEach
    void stop() {
        released.countDown();
        machines.forEach(VirtualMachine::close);
        bus.close();
        memory.close();
    }

    /// A driver whose first device can be told to misbehave.
    private static final class Driver implements ParentDriver {
        final List<Device> devices = new CopyOnWriteArrayList<>();

        @Override
        public String name() {
            return "hostile";
        }

        @Override
        public List<ParentDevice> probe(ParentHost host) {
            Aperture aperture = host.allocateAperture("gpu0", PAGES);
            return List.of(
                    new TestParent(
                            "gpu0",
                            aperture,
                            ElasticDriver.type(MIN, MAX, 4),
                            context -> {
                                Device device = new Device(context);
                                devices.add(device);
                                return device;
                            }));
        }
    }

    private static final class Device implements MdevDevice {
        private final MdevContext context;
        volatile Runnable onEvict = () -> {};
        volatile boolean gives = true;
        volatile BiFunction<Device, MapRequest, MapDecision> answer =
                (device, request) ->
                        device.context.elastic("vram").grant(request, "vram", 1, Prot.READ_WRITE);

        Device(MdevContext context) {
            this.context = context;
        }

        @Override
        public List<RegionInfo> regions() {
            return List.of(RegionInfo.of(0, "vram", Page.bytesOf(64), RegionArea.Kind.LAZY));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return request.page() < MAX
                    ? answer.apply(this, request)
                    : new MapDecision.Deny("past the end");
        }

        @Override
        public boolean evict(String pool, long firstPage, long npages) {
            onEvict.run();
            return gives;
        }

        @Override
        public void reset() {}
    }

    /// A machine with one device.
    private record Guest(VirtualMachine vm, Mdev mdev, Device device, long gpa) {
        ProgramResult tryFill(long value) {
            return run(new Step.Write(new Span(gpa, 8, MAX, Page.SIZE), value, 1));
        }

        void fill(long value) {
            assertThat(tryFill(value).end()).isEqualTo(ProgramResult.End.COMPLETED);
        }

        void check(long value) {
            ProgramResult result = run(new Step.Check(new Span(gpa, 8, MAX, Page.SIZE), value, 1));
            assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
            assertThat(result.steps().getFirst().mismatches()).as("%s", result).isZero();
        }

        private ProgramResult run(Step step) {
            return vm.vcpu(0)
                    .execute(new GuestProgram(List.of(step), false), Deadlines.HANG)
                    .join();
        }

        ElasticUsage usage() {
            return mdev.elastic().getFirst().usage();
        }
    }

    private Guest guest() {
        if (bus.parents().isEmpty()) {
            bus.addDriver(driver, Map.of());
        }
        VirtualMachine vm =
                new VirtualMachine(
                        new MachineSpec("vm" + machines.size(), 1L << 20, 1),
                        new SoftwareEngine(Deadlines.HANG),
                        memory);
        machines.add(vm);
        Mdev mdev = bus.create(UUID.randomUUID(), "gpu0", "elastic");
        long gpa = vm.attach(mdev).barGpa(0).orElseThrow();
        return new Guest(vm, mdev, driver.devices.getLast(), gpa);
    }

    private boolean isNamed(Guest guest) {
        return events.stream()
                .map(MdevEvent::fact)
                .anyMatch(fact ->
                        fact instanceof MdevEvent.EvictionRefused refused
                                && refused.uuid().equals(guest.mdev.uuid()));
    }

    @Test
    void aDriverThatHangsInEvictIsNamedAndTheOtherGuestGetsItsPages() {
        bus.close();
        bus = bus(HASTY);
        Guest stuck = guest();
        Guest other = guest();
        stuck.fill(100);
        stuck.device.onEvict =
                () -> {
                    try {
                        released.await();
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                };
        other.fill(1000);
        other.check(1000);
        assertThat(other.usage().heldPages()).isGreaterThanOrEqualTo(MIN);
        assertThat(isNamed(stuck)).isTrue();
        released.countDown();
        stuck.check(100);
    }

    @Test
    void aDriverThatGivesNothingUpIsNamedAndTheOtherGuestGetsItsPages() {
        Guest greedy = guest();
        Guest other = guest();
        greedy.fill(100);
        greedy.device.gives = false;
        other.fill(1000);
        other.check(1000);
        greedy.check(100);
        assertThat(other.usage().heldPages()).isGreaterThanOrEqualTo(MIN);
        assertThat(isNamed(greedy)).isTrue();
    }

    /// The pages that a driver saw under its own may be another device's by now.
    @Test
    void aDriverThatGrantsPhysicalPagesOfAnElasticShareItselfIsRefused() {
        Guest liar = guest();
        Guest other = guest();
        liar.fill(100);
        long pfn = liar.mdev.elastic().getFirst().pfnOf(3).orElseThrow();
        other.fill(1000);
        liar.mdev.revoke(0, 0, MAX);
        liar.device.answer = (_, request) -> MapDecision.grantPage(request, pfn, Prot.READ_WRITE);

        assertThat(liar.tryFill(7).end()).isEqualTo(ProgramResult.End.FAULTED);

        assertThat(liar.mdev.recentFaults().getFirst().outcome())
                .isEqualTo(FaultRecord.Outcome.REFUSED);
        other.check(1000);
    }

    @Test
    void aDriverThatGrantsPagesPastItsShareIsRefused() {
        Guest liar = guest();
        liar.device.answer =
                (_, request) ->
                        new MapDecision.FromPool(request.page(), "vram", MAX, 1, Prot.READ_WRITE);
        assertThat(liar.tryFill(7).end()).isEqualTo(ProgramResult.End.FAULTED);
        assertThat(liar.mdev.recentFaults().getFirst().outcome())
                .isEqualTo(FaultRecord.Outcome.REFUSED);
    }

    /// A driver's call back into the memory while another device takes its pages.
    @Test
    void aDriverThatUsesItsMemoryInEvictFailsItselfOnly() {
        bus.close();
        bus = bus(HASTY);
        Guest reentrant = guest();
        Guest other = guest();
        reentrant.fill(100);
        reentrant.device.onEvict =
                () -> {
                    for (int page = 0; page < MAX; page++) {
                        var _ =
                                reentrant
                                        .device
                                        .context
                                        .elastic("vram")
                                        .load(Page.addressOf(page), 8);
                    }
                };
        other.fill(1000);
        other.check(1000);
        reentrant.device.onEvict = () -> {};
        reentrant.check(100);
    }

    /// Four guests want all that there is, and each needs pages of the others all the time.
    @Test
    void faultsThatNeedEachOthersPagesAllComeToAnEnd() {
        List<Guest> guests = List.of(guest(), guest(), guest(), guest());
        List<CompletableFuture<Void>> running = new ArrayList<>();
        for (int i = 0; i < guests.size(); i++) {
            Guest guest = guests.get(i);
            long first = 1000L * (i + 1);
            running.add(
                    CompletableFuture.runAsync(
                            () -> {
                                for (int round = 0; round < 20; round++) {
                                    guest.fill(first + round);
                                    guest.check(first + round);
                                }
                            },
                            task -> Thread.ofPlatform().start(task)));
        }
        running.forEach(CompletableFuture::join);
        for (Guest guest : guests) {
            assertThat(guest.usage().heldPages()).isGreaterThanOrEqualTo(MIN);
            assertThat(guest.usage().returnedPages()).isPositive();
        }
    }
}
