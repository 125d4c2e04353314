package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.KernelNode;
import dev.mdev.api.KernelParent;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.Room;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.device.Parent;
import dev.mdev.core.driver.DriverText;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.support.TestParent;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.AbstractList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;

/// Drivers that break the contract where they look for parents, or describe them.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HostileParentTest {
    private static final UUID ONE = new UUID(13, 13);
    private static final long MEMORY_PAGES = 64;
    private static final Duration SHORT = Duration.ofMillis(200);
    private static final String NOVEL = "x".repeat(7_000_000);

    private static final MdevType TYPE =
            new MdevType(
                    "t4",
                    "four pages",
                    "",
                    MdevType.VFIO_PCI,
                    List.of(new MdevType.Demand("pages", 4, 1, false)),
                    8);

    private final List<MdevEvent.Fact> facts = new CopyOnWriteArrayList<>();
    private final HostMemory memory =
            new HostMemory(new OffHeapBackend(), Page.bytesOf(MEMORY_PAGES));
    private MdevBus bus = open(Deadlines.HANG);

    private MdevBus open(Duration deadline) {
        return new MdevBus(
                memory,
                deadline,
                new MdevObserver() {
                    @Override
                    public void event(MdevEvent event) {
                        facts.add(event.fact());
                    }
                });
    }

    private void reopen(Duration deadline) {
        bus.close();
        bus = open(deadline);
    }

    @AfterEach
    void close() {
        bus.close();
        memory.close();
    }

    /// A driver that is its search.
    private record Driver(String name, Function<ParentHost, List<ParentDevice>> search)
            implements ParentDriver {
        @Override
        public List<ParentDevice> probe(ParentHost host) {
            return search.apply(host);
        }
    }

    private void add(String name, Function<ParentHost, List<ParentDevice>> search) {
        var _ = bus.addDriver(new Driver(name, search), Map.of());
    }

    private static ParentDevice parent(String name, Aperture aperture) {
        return new TestParent(name, aperture, TYPE, _ -> new BareDevice());
    }

    private void requireAllMemoryFree() {
        memory.free(memory.allocate("all", MEMORY_PAGES));
    }

    /// Each would give the pages to a tenant of its own.
    @Test
    void aParentWithPagesOfAnotherOneIsRefused() {
        AtomicReference<Aperture> first = new AtomicReference<>();
        add(
                "one",
                host -> {
                    first.set(host.allocateAperture("a", 16));
                    return List.of(parent("p0", first.get()));
                });

        assertFails(
                () -> add("two", _ -> List.of(parent("p1", first.get()))),
                Errno.EINVAL,
                "parent=p1 has pages of parent=p0");

        assertThat(bus.parents()).extracting(Parent::name).containsExactly("p0");
        assertThat(bus.create(ONE, "p0", "t4").share()).isNotEmpty();
    }

    @Test
    void anApertureThatIsAnotherOneEachTimeIsRefused() {
        assertFails(
                () ->
                        add(
                                "changing",
                                host -> {
                                    List<Aperture> answers =
                                            Stream.of(16, 8, 8, 8)
                                                    .map(pages -> host.allocateAperture("a", pages))
                                                    .toList();
                                    return List.of(new Changing(answers.iterator()::next));
                                }),
                Errno.EINVAL,
                "another aperture each time");

        assertThat(bus.parents()).isEmpty();
        requireAllMemoryFree();
    }

    private record Changing(Supplier<Aperture> answers) implements ParentDevice {
        @Override
        public String name() {
            return "p0";
        }

        @Override
        public String description() {
            return "";
        }

        @Override
        public Aperture aperture() {
            return answers.get();
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of();
        }

        @Override
        public List<MdevType> types() {
            return List.of();
        }

        @Override
        public MdevDevice create(MdevContext context) {
            return new BareDevice();
        }
    }

    /// The pages of a device that the host found are those that it reserved for it.
    @Test
    void aListOfDevicesThatIsAnotherOneEachTimeIsReadOnce() {
        add(
                "shifting",
                host -> {
                    Aperture aperture = host.allocateAperture("a", 32);
                    return List.of(new WithDevices(parent("p0", aperture), aperture.pfns()));
                });

        PoolShare shown = bus.context().registry().find(ONE).orElseThrow().share().getFirst();
        assertThat(bus.parent("p0").capacity().pagesOf(new Tenant.Device(ONE)))
                .isEqualTo(shown.extents());
    }

    /// A parent with one device, whose pages move on whenever somebody looks.
    private record WithDevices(ParentDevice base, PfnRange pfns) implements ParentDevice {
        @Override
        public String name() {
            return base.name();
        }

        @Override
        public String description() {
            return base.description();
        }

        @Override
        public Aperture aperture() {
            return base.aperture();
        }

        @Override
        public List<ResourcePool> pools() {
            return base.pools();
        }

        @Override
        public List<MdevType> types() {
            return base.types();
        }

        @Override
        public MdevDevice create(MdevContext context) {
            return base.create(context);
        }

        @Override
        public List<ExistingDevice> existing() {
            AtomicInteger looks = new AtomicInteger();
            return new AbstractList<>() {
                @Override
                public ExistingDevice get(int index) {
                    long first = pfns.firstPfn() + 4L * (looks.getAndIncrement() % 8);
                    PoolShare share = new PoolShare("pages", List.of(new PfnRange(first, 4)));
                    return new ExistingDevice(ONE, "t4", List.of(share));
                }

                @Override
                public int size() {
                    return 1;
                }
            };
        }
    }

    @Test
    void aDriverThatUsesTheHostAfterItsSearchGetsNothing() {
        AtomicReference<ParentHost> kept = new AtomicReference<>();
        List<String> texts = new CopyOnWriteArrayList<>();
        var _ =
                bus.addDriver(
                        new Driver(
                                "late",
                                host -> {
                                    kept.set(host);
                                    return List.of();
                                }),
                        Map.of(),
                        texts::add);

        ParentHost host = kept.get();
        assertFails(() -> host.allocateAperture("late", 4), Errno.ESHUTDOWN, "probe", "late");
        assertFails(() -> host.mapAperture("late", List.of()), Errno.ESHUTDOWN);
        assertFails(() -> host.report("news"), Errno.ESHUTDOWN);
        assertFails(() -> host.reporterOf("p0"), Errno.ESHUTDOWN);

        assertThat(texts).isEmpty();
        requireAllMemoryFree();
    }

    @Test
    void ofTheReportsOfOneSearchTheFirstArePassedOnAndTheOthersCounted() {
        int more = 1000;
        List<String> texts = new CopyOnWriteArrayList<>();
        var _ =
                bus.addDriver(
                        new Driver(
                                "telling",
                                host -> {
                                    for (int i = 0; i < ProbeHost.MAX_REPORTS + more; i++) {
                                        host.report("device " + i);
                                    }
                                    return List.of();
                                }),
                        Map.of(),
                        texts::add);

        assertThat(texts).hasSize(ProbeHost.MAX_REPORTS + 1).startsWith("device 0");
        assertThat(texts.getLast()).contains(more + " more reports of driver=telling");
    }

    /// A search that blocks from its second time on.
    private static final class Slow {
        final AtomicInteger searches = new AtomicInteger();
        final AtomicReference<Runnable> again = new AtomicReference<>();
        final Semaphore begun = new Semaphore(0);
        final Semaphore goOn = new Semaphore(0);

        List<ParentDevice> search(ParentHost host) {
            again.set(host.lookAgain());
            if (searches.incrementAndGet() > 1) {
                begun.release();
                goOn.acquireUninterruptibly();
            }
            return List.of();
        }
    }

    @Test
    void allRequestsToLookAgainThatComeDuringASearchAreOne() throws Exception {
        Slow slow = new Slow();
        add("slow", slow::search);
        slow.again.get().run();
        slow.begun.acquire();

        for (int i = 0; i < 1000; i++) {
            slow.again.get().run();
        }
        slow.goOn.release();
        slow.begun.acquire();
        slow.goOn.release(Short.MAX_VALUE);

        var _ = bus.rescanDriver("slow");
        assertThat(slow.searches).as("the first, two that were asked for, and this").hasValue(4);
    }

    @Test
    void aSearchThatDoesNotEndKeepsNoOtherCaller() throws Exception {
        reopen(SHORT);
        Slow slow = new Slow();
        add("slow", slow::search);
        CompletableFuture<List<Parent>> stuck =
                CompletableFuture.supplyAsync(() -> bus.rescanDriver("slow"));
        slow.begun.acquire();

        assertFails(() -> bus.rescanDriver("slow"), Errno.EAGAIN, "driver=slow");
        assertFails(() -> bus.findParent("slow", "p0"), Errno.EAGAIN, "driver=slow");

        slow.goOn.release(Short.MAX_VALUE);
        assertThat(stuck.join()).isEmpty();
        assertThat(bus.rescanDriver("slow")).isEmpty();
    }

    @Test
    void aDriverWhoseEndDoesNotReturnIsNamedAndLeftBehind() {
        reopen(SHORT);
        CountDownLatch goOn = new CountDownLatch(1);
        var _ =
                bus.addDriver(
                        new ParentDriver() {
                            @Override
                            public String name() {
                                return "staying";
                            }

                            @Override
                            public List<ParentDevice> probe(ParentHost host) {
                                return List.of();
                            }

                            @Override
                            public void close() {
                                Deadlines.await(goOn);
                            }
                        },
                        Map.of());

        bus.close();

        goOn.countDown();
        assertThat(facts)
                .filteredOn(MdevEvent.LookFailed.class::isInstance)
                .singleElement()
                .asString()
                .contains("driver=staying", "close", "does not return within");
    }

    @Test
    void textsOfAParentInTheKernelAreCut() {
        add("kernel", host -> List.of(new Talking(host.allocateAperture("a", 1))));

        Parent parent = bus.parent("k0");
        Room room = parent.room(parent.types().getFirst()).orElseThrow();
        KernelNode node = Objects.requireNonNull(parent.nodes().get(ONE));

        assertThat(room.devices()).isZero();
        assertThat(room.reason()).hasSizeLessThan(DriverText.MAX_CHARS + 100);
        assertThat(node.sysfs()).hasSizeLessThan(DriverText.MAX_CHARS + 100);
        assertThat(node.user().orElseThrow()).hasSizeLessThan(DriverText.MAX_CHARS + 100);
    }

    /// A parent in the kernel whose answers have no end.
    private record Talking(Aperture aperture) implements KernelParent {
        @Override
        public Room room(MdevType type) {
            return new Room(-5, NOVEL);
        }

        @Override
        public Map<UUID, KernelNode> nodes() {
            return Map.of(
                    ONE,
                    new KernelNode(
                            NOVEL,
                            NOVEL,
                            Optional.empty(),
                            Optional.of(NOVEL),
                            Optional.of(NOVEL)));
        }

        @Override
        public String name() {
            return "k0";
        }

        @Override
        public String description() {
            return "";
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of();
        }

        @Override
        public List<MdevType> types() {
            return List.of(MdevType.withoutPages("t0", "t0", "", 4));
        }

        @Override
        public MdevDevice create(MdevContext context) {
            return new BareDevice();
        }
    }
}
