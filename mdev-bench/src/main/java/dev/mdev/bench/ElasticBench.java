package dev.mdev.bench;

import dev.mdev.api.MdevType;
import dev.mdev.api.RegionArea;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.page.Prot;
import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.elastic.ElasticOptions;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.regex.Pattern;

/// The cost of elastic shares: for a guest that stays within its minimum, beyond that, and beside a
/// hog. What is compared takes turns in one run, and each ratio is of one pair of turns.
///
/// ```
/// mvn -Pbench -pl mdev-bench -am package -DskipTests -Dbench=REGEX -Dbench.main=dev.mdev.bench.ElasticBench
/// ```
///
/// `REGEX` chooses among `within`, `beyond` and `hog`; a point chooses all. `-Dmdev.bench.engine`
/// is `software` or `kvm`.
public final class ElasticBench {
    static final int TURNS = Integer.getInteger("mdev.bench.turns", 31);
    private static final boolean KVM = System.getProperty("mdev.bench.engine", "").equals("kvm");
    private static final long STORE_BYTES = 1L << 30;

    private ElasticBench() {}

    public static void main(String[] args) throws Exception {
        Pattern chosen = Pattern.compile(args.length > 0 ? args[0] : ".");
        if (chosen.matcher("within").find()) {
            within(1);
            within(16);
        }
        if (chosen.matcher("beyond").find()) {
            Path folder = Files.createTempDirectory("elastic-bench");
            for (int unitPages : new int[] {1, 16}) {
                beyond("memory", unitPages, options(Optional.empty(), false));
                beyond("file", unitPages, options(Optional.of(folder), false));
                beyond("file, encrypted", unitPages, options(Optional.of(folder), true));
            }
            Files.delete(folder);
        }
        if (chosen.matcher("hog").find()) {
            ElasticHog.measure();
        }
    }

    static ElasticOptions options(Optional<Path> folder, boolean encrypted) {
        return new ElasticOptions(Duration.ZERO, 64, folder, STORE_BYTES, encrypted);
    }

    static BenchHost host(BenchDriver driver, ElasticOptions options) {
        Engine engine =
                KVM ? new KvmEngine(BenchHost.PATIENCE) : new SoftwareEngine(BenchHost.PATIENCE);
        MemoryBackend memory = KVM ? new MemfdMemory() : new OffHeapBackend();
        return new BenchHost(
                engine,
                memory,
                BusOptions.of(BenchHost.PATIENCE, MdevObserver.NONE).with(options),
                driver);
    }

    /// @param grantPages the most pages of a grant
    static BenchDriver elastic(long poolPages, long min, long max, long unitPages, int grantPages) {
        return new BenchDriver(
                poolPages,
                MdevType.Demand.elastic(BenchDriver.POOL, min, max, unitPages),
                RegionArea.Kind.LAZY,
                (_, context) -> {
                    var pages = context.elastic(BenchDriver.POOL);
                    return request ->
                            pages.grant(request, BenchDriver.POOL, grantPages, Prot.READ_WRITE);
                });
    }

    private static BenchDriver fixed(long pages, int grantPages) {
        return new BenchDriver(
                pages,
                new MdevType.Demand(BenchDriver.POOL, pages, 1, false),
                RegionArea.Kind.LAZY,
                (aperture, context) -> {
                    var share = ShareMemory.inOrder(aperture, context.share(BenchDriver.POOL));
                    return request -> share.grant(request, grantPages, Prot.READ_WRITE);
                });
    }

    /// Nanoseconds of a fault, and of an access to a page that is mapped.
    record Cost(double faultNanos, double accessNanos) {}

    /// Revokes everything, and stores to each page: every grant is a fault. Then stores to all of
    /// them again and again.
    static Cost storeToAll(BenchHost.Lane lane, int pages, int grantPages)
            throws InterruptedException, ExecutionException {
        int rounds = 8;
        int passes = 2048;
        return lane.submit(
                        () -> {
                            long faultNanos = 0;
                            for (int round = 0; round < rounds; round++) {
                                lane.revokeAll();
                                long start = System.nanoTime();
                                for (int page = 0; page < pages; page += grantPages) {
                                    lane.store(page, 1, page + 1L);
                                }
                                faultNanos += System.nanoTime() - start;
                            }
                            long start = System.nanoTime();
                            for (int pass = 0; pass < passes; pass++) {
                                lane.store(0, pages, pass + 1L);
                            }
                            long accessNanos = System.nanoTime() - start;
                            return new Cost(
                                    (double) faultNanos / rounds * grantPages / pages,
                                    (double) accessNanos / passes / pages);
                        })
                .get();
    }

    /// A working set within the minimum, with and without overcommitment.
    private static void within(int grantPages) throws Exception {
        int pages = 1024;
        try (BenchHost plain = host(fixed(pages, grantPages), ElasticOptions.DEFAULT);
                BenchHost over =
                        host(
                                elastic(pages, pages, 4L * pages, 1, grantPages),
                                ElasticOptions.DEFAULT)) {
            BenchHost.Lane fixed = plain.addMachine(1).getFirst();
            BenchHost.Lane elastic = over.addMachine(1).getFirst();
            Pairs faults = new Pairs();
            Pairs accesses = new Pairs();
            for (int turn = -TURNS; turn < TURNS; turn++) {
                boolean swap = turn % 2 != 0;
                Cost one = storeToAll(swap ? elastic : fixed, pages, grantPages);
                Cost two = storeToAll(swap ? fixed : elastic, pages, grantPages);
                Cost without = swap ? two : one;
                Cost with = swap ? one : two;
                // The turns before 0 warm up.
                if (turn >= 0) {
                    faults.add(with.faultNanos, without.faultNanos);
                    accesses.add(with.accessNanos, without.accessNanos);
                }
            }
            print("within, grants of %d: fault, ns".formatted(grantPages), faults);
            print("within, grants of %d: access, ns".formatted(grantPages), accesses);
        }
    }

    static void print(String what, Pairs pairs) {
        System.out.printf(Locale.ROOT, "%s | %s%n", what, pairs);
    }

    /// Medians of what was measured in pairs, and of the ratios of the pairs.
    static final class Pairs {
        private double[] with = {};
        private double[] without = {};

        void add(double withValue, double withoutValue) {
            with = plus(with, withValue);
            without = plus(without, withoutValue);
        }

        private static double[] plus(double[] values, double value) {
            double[] more = Arrays.copyOf(values, values.length + 1);
            more[values.length] = value;
            return more;
        }

        private static double quantile(double[] values, double part) {
            double[] sorted = values.clone();
            Arrays.sort(sorted);
            return sorted[(int) (part * (sorted.length - 1))];
        }

        @Override
        public String toString() {
            double[] ratios = new double[with.length];
            Arrays.setAll(ratios, i -> with[i] / without[i]);
            return String.format(
                    Locale.ROOT,
                    "with %.1f | without %.1f | ratio %.3f (quartiles %.3f, %.3f)",
                    quantile(with, 0.5),
                    quantile(without, 0.5),
                    quantile(ratios, 0.5),
                    quantile(ratios, 0.25),
                    quantile(ratios, 0.75));
        }
    }

    /// A device with room for a quarter of its pages: what it costs to take pages away, and to
    /// bring them back.
    private static void beyond(String store, int unitPages, ElasticOptions options)
            throws IOException, InterruptedException, ExecutionException {
        int pages = 2048;
        BenchDriver driver = elastic(pages, pages / 4, 2L * pages, unitPages, unitPages);
        try (BenchHost host = host(driver, options);
                PageCopies copies = new PageCopies()) {
            BenchHost.Lane lane = host.addMachine(1).getFirst();
            var pool =
                    Objects.requireNonNull(
                            host.bus().parent(BenchDriver.PARENT).elastic().get(BenchDriver.POOL));
            Pairs evictions = new Pairs();
            Pairs returns = new Pairs();
            Pairs both = new Pairs();
            for (int turn = -TURNS; turn < TURNS; turn++) {
                lane.submit(() -> touch(lane, 0, pages, unitPages)).get();
                double copyNanos = copies.nanosPerPage();
                long start = System.nanoTime();
                long freed = pool.makeFree(pages * 3L / 4);
                double evictNanos = (double) (System.nanoTime() - start) / freed;
                double returnNanos = lane.submit(() -> bringBack(lane, pages, unitPages)).get();
                // Every page of the second half takes the place of one of the first.
                double bothNanos = lane.submit(() -> touch(lane, pages, pages, unitPages)).get();
                if (turn >= 0) {
                    evictions.add(evictNanos, copyNanos);
                    returns.add(returnNanos, copyNanos);
                    both.add(bothNanos, copyNanos);
                }
            }
            String what =
                    "%s, units of %d: ns a page, against a copy: ".formatted(store, unitPages);
            print(what + "taking away", evictions);
            print(what + "coming back", returns);
            print(what + "a fault that needs both", both);
        }
    }

    /// @return nanoseconds a page
    static double touch(BenchHost.Lane lane, long firstPage, long npages, int unitPages) {
        long start = System.nanoTime();
        for (long page = firstPage; page < firstPage + npages; page += unitPages) {
            for (int i = 0; i < unitPages; i++) {
                lane.store(page + i, 1, page + i + 1L);
            }
        }
        return (double) (System.nanoTime() - start) / npages;
    }

    /// Touches the pages that are away.
    ///
    /// @return nanoseconds for each of them
    private static double bringBack(BenchHost.Lane lane, int pages, int unitPages) {
        var memory = lane.mdev().elastic().getFirst();
        long nanos = 0;
        long back = 0;
        for (long page = 0; page < pages; page += unitPages) {
            if (memory.pfnOf(page).isEmpty()) {
                long start = System.nanoTime();
                lane.store(page, 1, page + 1);
                nanos += System.nanoTime() - start;
                back += unitPages;
            }
        }
        if (back == 0) {
            throw new IllegalStateException("nothing was away");
        }
        return (double) nanos / back;
    }
}
