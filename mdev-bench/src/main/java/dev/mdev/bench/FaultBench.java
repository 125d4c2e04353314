package dev.mdev.bench;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevType;
import dev.mdev.api.RegionArea;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.regex.Pattern;

/// The cost of a fault, compared with a C program that makes the same system calls: `lazy_fault.c`
/// among the sources. The two take turns in one run.
///
/// ```
/// mvn -Pbench -pl mdev-bench -am package -DskipTests -Dbench=REGEX -Dbench.main=dev.mdev.bench.FaultBench
/// ```
///
/// `REGEX` chooses among [#CASES]; a point chooses all.
///
/// The Java side has everything that a guest of the host service has: slots, bus, driver, the
/// record of each fault. `-Dmdev.bench.source` names the C program, `-Dmdev.bench.garbage` the MiB
/// of garbage that another thread creates per second.
public final class FaultBench {
    private static final int PAGES = Integer.getInteger("mdev.bench.pages", 4096);
    private static final int ROUNDS = Integer.getInteger("mdev.bench.rounds", 4);
    private static final int TURNS = Integer.getInteger("mdev.bench.turns", 5);
    private static final int WARMUP_ROUNDS = 12;
    private static final int GARBAGE_MIB = Integer.getInteger("mdev.bench.garbage", 0);
    private static final Path SOURCE =
            Path.of(System.getProperty("mdev.bench.source", "src/main/c/lazy_fault.c"));

    /// What is measured.
    ///
    /// @param kind how pages are granted: `continue` linearly to the BAR, `mmap` elsewhere, `eager`
    ///   all at once before the guest runs, permanently
    /// @param grant pages per grant
    /// @param lanes virtual processors, each with a device of its own
    record Case(String kind, int grant, int lanes) {
        boolean isEager() {
            return kind.equals("eager");
        }

        /// The answer to a fault.
        ///
        /// @param all the device's share
        private MapDecision grant(PfnRange all, MapRequest request) {
            if (isEager()) {
                return new MapDecision.Grant(0, all, Prot.READ_WRITE);
            }
            long run = request.page() / grant;
            long first = run * grant;
            long physical = kind.equals("mmap") ? (PAGES / grant - 1 - run) * grant : first;
            return new MapDecision.Grant(
                    first, new PfnRange(all.firstPfn() + physical, grant), Prot.READ_WRITE);
        }
    }

    private static final List<Case> CASES =
            List.of(
                    new Case("continue", 1, 1),
                    new Case("mmap", 1, 1),
                    new Case("continue", 16, 1),
                    new Case("continue", 512, 1),
                    new Case("mmap", 16, 1),
                    new Case("continue", 1, 4),
                    new Case("eager", 1, 1));

    /// Nanoseconds: of the stores that faulted, and of any page.
    record Cost(long medianNanos, long p99Nanos, long pageNanos) {
        static Cost median(List<Cost> turns) {
            return new Cost(
                    middle(turns.stream().mapToLong(Cost::medianNanos).toArray()),
                    middle(turns.stream().mapToLong(Cost::p99Nanos).toArray()),
                    middle(turns.stream().mapToLong(Cost::pageNanos).toArray()));
        }

        private static long middle(long[] values) {
            Arrays.sort(values);
            return values[values.length / 2];
        }
    }

    private FaultBench() {}

    public static void main(String[] args) throws Exception {
        Path program = compile();
        startGarbage();
        Pattern chosen = Pattern.compile(args.length > 0 ? args[0] : ".");
        System.out.println("| case | C: median, p99, page | Java: median, p99, page | ratio |");
        System.out.println("|---|---|---|---|");
        for (Case measured : CASES) {
            if (!chosen.matcher(measured.toString()).find()) {
                continue;
            }
            List<Cost> c = new ArrayList<>();
            List<Cost> java = new ArrayList<>();
            try (Bench bench = new Bench(measured)) {
                var _ = bench.run(WARMUP_ROUNDS);
                for (int turn = 0; turn < TURNS; turn++) {
                    c.add(runC(program, measured));
                    java.add(bench.run(ROUNDS));
                }
            }
            print(measured, Cost.median(c), Cost.median(java));
        }
        Files.delete(program);
    }

    private static void print(Case measured, Cost c, Cost java) {
        System.out.printf(
                Locale.ROOT,
                "| %s, %d a grant, %d at once | %.1f, %.1f, %.1f us | %.1f, %.1f, %.1f us"
                        + " | %.2f, %.2f, %.2f |%n",
                measured.kind,
                measured.grant,
                measured.lanes,
                c.medianNanos / 1e3,
                c.p99Nanos / 1e3,
                c.pageNanos / 1e3,
                java.medianNanos / 1e3,
                java.p99Nanos / 1e3,
                java.pageNanos / 1e3,
                (double) java.medianNanos / c.medianNanos,
                (double) java.p99Nanos / c.p99Nanos,
                (double) java.pageNanos / c.pageNanos);
    }

    private static Path compile() throws IOException, InterruptedException {
        Path program = Files.createTempFile("lazy_fault", "");
        var _ = output("cc", "-O2", "-pthread", "-o", program.toString(), SOURCE.toString());
        return program;
    }

    private static Cost runC(Path program, Case measured) throws IOException, InterruptedException {
        String[] numbers =
                output(
                                program.toString(),
                                measured.kind,
                                String.valueOf(PAGES),
                                String.valueOf(measured.grant),
                                String.valueOf(measured.lanes),
                                String.valueOf(ROUNDS))
                        .split(" ", 3);
        return new Cost(
                Long.parseLong(numbers[0]),
                Long.parseLong(numbers[1]),
                Long.parseLong(numbers[2].strip()));
    }

    private static String output(String... command) throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        String text;
        try (BufferedReader output = process.inputReader(StandardCharsets.UTF_8)) {
            text = output.readAllAsString();
        }
        if (process.waitFor() != 0) {
            throw new IOException("failed: " + Arrays.toString(command));
        }
        return text;
    }

    /// The allocations of a busy host service.
    private static void startGarbage() {
        if (GARBAGE_MIB > 0) {
            Thread.ofPlatform().daemon().name("garbage").start(FaultBench::throwAway);
        }
    }

    private static void throwAway() {
        List<byte[]> kept = new ArrayList<>();
        long begin = System.nanoTime();
        for (long kib = 0; ; kib++) {
            byte[] piece = new byte[1024];
            if (kib % 64 == 0) {
                kept.add(piece);
            }
            if (kept.size() > 65_536) {
                kept.clear();
            }
            // Waits for the clock to keep to the rate.
            while (kib % 1024 == 0 && System.nanoTime() - begin < kib * 976_562 / GARBAGE_MIB) {
                Thread.onSpinWait();
            }
        }
    }

    /// A machine with devices, and a processor for each.
    private static final class Bench implements AutoCloseable {
        private final Case measured;
        private final BenchHost host;
        private final List<BenchHost.Lane> lanes;

        Bench(Case measured) {
            this.measured = measured;
            host =
                    new BenchHost(
                            new KvmEngine(BenchHost.PATIENCE),
                            new MemfdMemory(),
                            BusOptions.of(BenchHost.PATIENCE, MdevObserver.NONE),
                            driver(measured));
            lanes = host.addMachine(measured.lanes);
        }

        private static BenchDriver driver(Case measured) {
            return new BenchDriver(
                    (long) PAGES * measured.lanes,
                    new MdevType.Demand(BenchDriver.POOL, PAGES, PAGES, true),
                    measured.isEager() ? RegionArea.Kind.EAGER : RegionArea.Kind.LAZY,
                    (_, context) -> {
                        PfnRange all = context.share(BenchDriver.POOL).extentFrom(0);
                        return request -> measured.grant(all, request);
                    });
        }

        Cost run(int rounds) throws InterruptedException, ExecutionException {
            List<Future<Sampled>> running =
                    lanes.stream()
                            .map(lane -> lane.submit(() -> storeToAll(measured, lane, rounds)))
                            .toList();
            long[] all = {};
            long nanos = 0;
            for (Future<Sampled> lane : running) {
                Sampled sampled = lane.get();
                int before = all.length;
                all = Arrays.copyOf(all, before + sampled.nanos.length);
                System.arraycopy(sampled.nanos, 0, all, before, sampled.nanos.length);
                nanos += sampled.totalNanos;
            }
            Arrays.sort(all);
            return new Cost(
                    all[all.length / 2],
                    all[(int) (all.length * 99L / 100)],
                    nanos / ((long) PAGES * rounds * lanes.size()));
        }

        @Override
        public void close() {
            host.close();
        }
    }

    /// What one processor took.
    private static final class Sampled {
        /// Of each store that faulted.
        private final long[] nanos;

        private long totalNanos;

        Sampled(int stores) {
            nanos = new long[stores];
        }
    }

    /// Stores to all pages of a device's BAR.
    private static Sampled storeToAll(Case measured, BenchHost.Lane lane, int rounds) {
        Sampled sampled = new Sampled(rounds * (PAGES / measured.grant));
        int count = 0;
        for (int round = 0; round < rounds; round++) {
            if (!measured.isEager()) {
                lane.revokeAll();
            }
            long begin = System.nanoTime();
            long last = begin;
            for (int page = 0; page < PAGES; page++) {
                lane.store(page, 1, page);
                long end = System.nanoTime();
                if (page % measured.grant == 0) {
                    sampled.nanos[count++] = end - last;
                }
                last = end;
            }
            sampled.totalNanos += last - begin;
        }
        return sampled;
    }
}
