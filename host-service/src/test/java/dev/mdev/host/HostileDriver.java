package dev.mdev.host;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.Display;
import dev.mdev.api.Errno;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.test.context.TestConfiguration;
import org.springframework.context.annotation.Bean;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;

/// A driver whose types break one rule each. Its parents, by default `hostile`, have 1024 pages
/// each; each device takes 16 and shows them in BAR 0.
final class HostileDriver implements ParentDriver {
    static final String PARENT = "hostile";

    private final String driver;
    private final List<String> parents;

    HostileDriver(String driver, String... parents) {
        this.driver = driver;
        this.parents = List.of(parents);
    }

    private static final long SHARE_PAGES = 16;

    /// Creates the driver, and the [UselessDrivers].
    @TestConfiguration(proxyBeanMethods = false)
    static class Beans {
        @Bean
        ParentDriver hostile() {
            return new HostileDriver("hostile", PARENT);
        }

        @Bean
        ParentDriver mute() {
            return new UselessDrivers.Mute();
        }

        @Bean
        ParentDriver crooked() {
            return new UselessDrivers.Crooked();
        }

        @Bean
        ParentDriver broken() {
            return new UselessDrivers.Broken();
        }

        /// Only where a test has such a file.
        @Bean
        @ConditionalOnProperty("test.card")
        ParentDriver kept(@Value("${test.card}") Path file) {
            return new KeptCard(file);
        }

        /// Only where a test asks for it: each start waits for it.
        @Bean
        @ConditionalOnProperty("test.blocked")
        ParentDriver blocked() {
            return new UselessDrivers.Blocked();
        }
    }

    /// The violation of a type.
    enum Vice {
        HONEST,
        DENIES,
        NEVER_DECIDES,
        TRAPS,
        GRANTS_OTHERS_PAGES,
        GRANTS_OUTSIDE_THE_APERTURE,
        GRANTS_TOO_MUCH,
        GRANTS_BESIDE_THE_PAGE,
        GRANTS_ONLY_READING,
        GRANTS_NO_RIGHTS,
        ANSWERS_NULL,
        THROWS_ERRNO,
        THROWS_ANYTHING,
        RECURSES,
        REPORTS,
        REVOKES,
        HANGS,
        HANGS_DEAF,
        THROWS_AT_CREATE,
        THROWS_AT_RESET,
        THROWS_AT_CLOSE,
        HANGS_AT_CREATE,
        HANGS_AT_CLOSE,
        HANGS_WHEN_ASKED,
        REFUSES_STATE,
        MOVABLE,
        BIG;

        String type() {
            return name().toLowerCase(java.util.Locale.ROOT).replace('_', '-');
        }
    }

    /// Callbacks that do not return until a test releases them.
    static final class Stuck {
        private static volatile CountDownLatch gate = new CountDownLatch(1);
        private static volatile CountDownLatch entered = new CountDownLatch(1);

        private Stuck() {}

        static void awaitEntered() throws InterruptedException {
            entered.await();
        }

        static synchronized void releaseAll() {
            gate.countDown();
            gate = new CountDownLatch(1);
            entered = new CountDownLatch(1);
        }

        static void hang(boolean deaf) {
            CountDownLatch mine = gate;
            entered.countDown();
            while (true) {
                try {
                    mine.await();
                    return;
                } catch (InterruptedException e) {
                    if (!deaf) {
                        Thread.currentThread().interrupt();
                        throw new MdevException(Errno.EINTR, "interrupted", e);
                    }
                }
            }
        }
    }

    @Override
    public String name() {
        return driver;
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        return parents.stream()
                .<ParentDevice>map(name -> new Parent(name, host.allocateAperture(name, 1024)))
                .toList();
    }

    private record Parent(String name, Aperture aperture) implements ParentDevice {

        @Override
        public String description() {
            return "a parent of the tests";
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of(new ResourcePool("pages", aperture.pfns()));
        }

        @Override
        public List<MdevType> types() {
            return Arrays.stream(Vice.values())
                    .map(vice ->
                            new MdevType(
                                    vice.type(),
                                    vice.type(),
                                    "",
                                    MdevType.VFIO_PCI,
                                    List.of(new MdevType.Demand("pages", pagesOf(vice), 1, true)),
                                    64))
                    .toList();
        }

        private static long pagesOf(Vice vice) {
            return vice == Vice.BIG ? 2 * SHARE_PAGES : SHARE_PAGES;
        }

        @Override
        public MdevDevice create(MdevContext context) {
            Vice vice =
                    Arrays.stream(Vice.values())
                            .filter(it -> it.type().equals(context.type().id()))
                            .findFirst()
                            .orElseThrow();
            if (vice == Vice.THROWS_AT_CREATE) {
                throw new MdevException(Errno.ENODEV, "the firmware does not answer");
            }
            if (vice == Vice.HANGS_AT_CREATE) {
                Stuck.hang(true);
            }
            return new Device(vice, aperture.pfns(), context);
        }

        @Override
        public void close() {}
    }

    /// The driver refuses its own saved state.
    private static final class Refusing implements DeviceState {
        @Override
        public int version() {
            return 1;
        }

        @Override
        public void save(DataOutput out) throws IOException {
            out.writeInt(7);
        }

        @Override
        public void restore(int version, DataInput in) throws IOException {
            throw new IOException("register 3 cannot be 7");
        }
    }

    /// A driver whose state cannot be restored in time.
    private static final class Hanging implements DeviceState {
        @Override
        public int version() {
            return 1;
        }

        @Override
        public void save(DataOutput out) throws IOException {
            out.writeInt(7);
        }

        @Override
        public void restore(int version, DataInput in) throws IOException {
            var _ = in.readInt();
            Stuck.hang(true);
        }
    }

    private record Device(Vice vice, PfnRange aperture, MdevContext context) implements MdevDevice {
        private PfnRange share() {
            return context.share("pages").extents().getFirst();
        }

        @Override
        public Optional<DeviceState> state() {
            return switch (vice) {
                case REFUSES_STATE -> Optional.of(new Refusing());
                case HANGS_WHEN_ASKED -> Optional.of(new Hanging());
                default -> Optional.empty();
            };
        }

        @Override
        public Map<String, Long> counters() {
            if (vice == Vice.HANGS_WHEN_ASKED) {
                Stuck.hang(true);
            }
            return Map.of();
        }

        @Override
        public Optional<Display> display() {
            if (vice == Vice.HANGS_WHEN_ASKED) {
                Stuck.hang(true);
            }
            return Optional.empty();
        }

        @Override
        public boolean isMovable() {
            return vice == Vice.MOVABLE;
        }

        @Override
        public void shareMoved(List<PoolShare> share) {}

        @Override
        public List<RegionInfo> regions() {
            return List.of(
                    RegionInfo.of(0, "pages", Page.bytesOf(SHARE_PAGES), RegionArea.Kind.LAZY));
        }

        @Override
        @SuppressWarnings("NullAway") // One vice is to answer null.
        public MapDecision validateMapRequest(MapRequest request) {
            long page = request.page();
            PfnRange share = share();
            return switch (vice) {
                case HONEST,
                        THROWS_AT_CREATE,
                        THROWS_AT_RESET,
                        THROWS_AT_CLOSE,
                        HANGS_AT_CREATE,
                        HANGS_AT_CLOSE,
                        HANGS_WHEN_ASKED,
                        REFUSES_STATE,
                        MOVABLE,
                        BIG ->
                        grant(page, share.firstPfn() + page, 1);
                case DENIES -> new MapDecision.Deny("no licence");
                case NEVER_DECIDES -> new MapDecision.Again("the licence server is slow");
                case TRAPS -> new MapDecision.Trap();
                case GRANTS_OTHERS_PAGES -> grant(page, someoneElse(), 1);
                case GRANTS_OUTSIDE_THE_APERTURE -> grant(page, aperture.endPfn(), 1);
                case GRANTS_TOO_MUCH ->
                        grant(page, share.firstPfn() + page, SHARE_PAGES - page + 1);
                case GRANTS_BESIDE_THE_PAGE ->
                        grant((page + 1) % SHARE_PAGES, share.firstPfn() + page, 1);
                case GRANTS_ONLY_READING ->
                        MapDecision.grantPage(request, share.firstPfn() + page, Prot.READ);
                case GRANTS_NO_RIGHTS ->
                        MapDecision.grantPage(request, share.firstPfn() + page, Prot.NONE);
                case ANSWERS_NULL -> null;
                case THROWS_ERRNO -> throw new MdevException(Errno.ENOMEM, "page tables are full");
                case THROWS_ANYTHING -> throw new IllegalStateException("a bug");
                case RECURSES -> validateMapRequest(request);
                case REPORTS -> {
                    for (int i = 0; i < 1000; i++) {
                        context.report(
                                ReportLevel.WARNING,
                                "smoke\nERROR all is lost " + "!".repeat(100_000));
                    }
                    yield grant(page, share.firstPfn() + page, 1);
                }
                case REVOKES -> {
                    context.revoke(0, page, 1);
                    yield grant(page, share.firstPfn() + page, 1);
                }
                case HANGS -> {
                    try (FileChannel file = FileChannel.open(self())) {
                        Stuck.hang(false);
                        var _ = file.read(ByteBuffer.allocate(1));
                    } catch (IOException e) {
                        throw new MdevException(Errno.EIO, "the file is closed", e);
                    }
                    yield grant(page, share.firstPfn() + page, 1);
                }
                case HANGS_DEAF -> {
                    Stuck.hang(true);
                    yield grant(page, share.firstPfn() + page, 1);
                }
            };
        }

        /// Any file.
        private static Path self() {
            return Path.of(System.getProperty("java.home"), "release");
        }

        private static MapDecision grant(long page, long pfn, long npages) {
            return new MapDecision.Grant(page, new PfnRange(pfn, npages), Prot.READ_WRITE);
        }

        /// A page of the aperture that is not this device's.
        private long someoneElse() {
            return share().firstPfn() == aperture.firstPfn()
                    ? share().endPfn()
                    : aperture.firstPfn();
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            return 0x5A;
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {}

        @Override
        public void reset() {
            if (vice == Vice.THROWS_AT_RESET) {
                throw new IllegalStateException("cannot reset");
            }
        }

        @Override
        public void close() {
            if (vice == Vice.THROWS_AT_CLOSE) {
                throw new IllegalStateException("cannot close");
            }
            if (vice == Vice.HANGS_AT_CLOSE) {
                Stuck.hang(true);
            }
        }
    }
}
