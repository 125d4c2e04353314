package dev.mdev.host;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.ResourcePool;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.test.context.TestConfiguration;
import org.springframework.context.annotation.Bean;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/// A driver whose types break one rule each. Its parents, by default `hostile`, have 1024 pages
/// each; each device takes 16 and shows them in BAR 0.
final class HostileDriver implements ParentDriver {
    static final String PARENT = "hostile";

    static final long SHARE_PAGES = 16;

    private final String driver;
    private final List<String> parents;
    private final List<Vice> vices;

    /// Whether the host clears the devices' pages; if not, no reset does.
    private final boolean clears;

    HostileDriver(String driver, String... parents) {
        this(driver, List.of(parents), List.of(Vice.values()), false);
    }

    private HostileDriver(String driver, List<String> parents, List<Vice> vices, boolean clears) {
        this.driver = driver;
        this.parents = parents;
        this.vices = vices;
        this.clears = clears;
    }

    /// A driver with this vice and no other.
    static HostileDriver with(Vice vice) {
        return new HostileDriver("hostile", List.of(PARENT), List.of(vice), true);
    }

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
        DENIES_WITH_A_NOVEL,
        NAMES_A_NOVEL,
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
        THROWS_THE_UNNAMEABLE,
        LEAVES_INTERRUPTED,
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
        SAVES_WITHOUT_END,
        COUNTS_EVERYTHING,
        COUNTS_AT_LENGTH,
        THROWS_IN_A_REGISTER,
        HANGS_IN_A_REGISTER,
        THROWS_WHEN_ASSIGNED,
        THROWS_WHEN_RELEASED,
        THROWS_WHEN_RUNG,
        HAS_WORK_FOR_EVER,
        KEEPS_PINS,
        REVOKES_TOO_EARLY,
        HAS_NO_REGIONS,
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

        /// Waits until a callback hangs.
        ///
        /// @param request what leads to it; on a busy machine, its deadline may pass before
        /// @return whether a callback hangs; otherwise the request has ended
        static boolean awaitEntered(Future<?> request) throws InterruptedException {
            boolean hangs = false;
            boolean ended = false;
            while (!hangs && !ended) {
                ended = request.isDone();
                hangs = entered.await(1, TimeUnit.MILLISECONDS);
            }
            return hangs;
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
                .<ParentDevice>map(
                        name -> new Parent(name, host.allocateAperture(name, 1024), vices, clears))
                .toList();
    }

    private record Parent(String name, Aperture aperture, List<Vice> vices, boolean clears)
            implements ParentDevice {
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
            return vices.stream()
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
                    vices.stream()
                            .filter(it -> it.type().equals(context.type().id()))
                            .findFirst()
                            .orElseThrow();
            if (vice == Vice.THROWS_AT_CREATE) {
                throw new MdevException(Errno.ENODEV, "the firmware does not answer");
            }
            if (vice == Vice.HANGS_AT_CREATE) {
                Stuck.hang(true);
            }
            if (vice == Vice.REVOKES_TOO_EARLY) {
                context.revoke(0, 0, 1);
            }
            return new HostileDevice(vice, clears, aperture.pfns(), context);
        }

        @Override
        public void close() {}
    }
}
