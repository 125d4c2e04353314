package dev.mdev.testkit;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.FilePages;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.Reporter;
import dev.mdev.api.layout.ParentLayout;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.PfnRange;

import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.function.LongFunction;

/// A host in memory for tests of parent drivers: it probes a driver, creates devices, and calls
/// them as the real host does, one call at a time per device and with a deadline.
///
/// Violations are thrown where they happen, and also kept, because a driver's own thread may
/// swallow exceptions; [#close] throws the first of those.
public final class InMemoryHost implements ParentHost, AutoCloseable {
    /// Far from 0, so that a confusion of offsets and page numbers shows.
    private static final long FIRST_PFN = 0x10_0000;

    /// Deadlines that a driver's own work may take on a machine that is too busy for it.
    private static final int BUSY_MACHINE = 6;

    /// Every thread that driver code starts is in this group, unless the driver avoids it on
    /// purpose.
    private final ThreadGroup threads = new ThreadGroup("driver");

    private final Options options;
    private final SplittableRandom random;
    private final List<DriverAperture> apertures = new CopyOnWriteArrayList<>();
    private final List<String> reports = new CopyOnWriteArrayList<>();
    private final List<ParentReport> parentReports = new CopyOnWriteArrayList<>();
    private final List<ContractViolation> violations = new CopyOnWriteArrayList<>();
    private final FaultInjector faults;
    private final List<InMemoryParent> parents;
    private volatile boolean probing = true;
    private long nextPfn = FIRST_PFN;

    /// The options of a host.
    ///
    /// @param settings the operator's settings for the driver
    /// @param deadline how long a callback may take
    /// @param seed of everything that is random
    /// @param scattersShares whether devices get their pages in as many extents as their types
    ///   allow; else in as few as there are
    public record Options(
            Map<String, String> settings, Duration deadline, long seed, boolean scattersShares) {
        public Options {
            settings = Map.copyOf(settings);
        }

        /// No settings; the deadline of `-Dmdev.testkit.deadline-millis` (default 5000); the seed
        /// of `-Dmdev.seed`, or a new one.
        public static Options standard() {
            Long seed = Long.getLong("mdev.seed");
            return new Options(
                    Map.of(),
                    Duration.ofMillis(Long.getLong("mdev.testkit.deadline-millis", 5000)),
                    seed == null ? new SplittableRandom().nextLong() : seed,
                    true);
        }

        /// These options with other settings.
        public Options withSettings(Map<String, String> other) {
            return new Options(other, deadline, seed, scattersShares);
        }

        /// These options with another deadline.
        public Options withDeadline(Duration other) {
            return new Options(settings, other, seed, scattersShares);
        }

        /// These options with another seed.
        public Options withSeed(long other) {
            return new Options(settings, deadline, other, scattersShares);
        }

        /// These options with shares that are scattered, or are not.
        public Options withScatteredShares(boolean scatters) {
            return new Options(settings, deadline, seed, scatters);
        }
    }

    /// Probes `driver` with settings, and standard options otherwise.
    public InMemoryHost(ParentDriver driver, Map<String, String> settings) {
        this(driver, Options.standard().withSettings(settings));
    }

    /// Probes `driver`.
    public InMemoryHost(ParentDriver driver, Options options) {
        this(driver, options, faults -> {});
    }

    /// Probes `driver` on a host whose failures are already on.
    ///
    /// @param arming sets up the failures
    public InMemoryHost(ParentDriver driver, Options options, Consumer<FaultInjector> arming) {
        this.options = options;
        this.random = new SplittableRandom(options.seed());
        this.faults = new FaultInjector(random.split());
        arming.accept(faults);
        List<ParentDevice> devices;
        try (Callbacks callbacks = newCallbacks("probe")) {
            devices = callbacks.call("probe", () -> driver.probe(this));
        }
        this.probing = false;
        this.parents =
                devices.stream()
                        .map(device -> new InMemoryParent(this, device, random.split()))
                        .toList();
    }

    @Override
    public Aperture allocateAperture(String name, long npages) {
        requireProbing("allocateAperture");
        return newAperture(npages, first -> new TreeMap<>(Map.of(first, Caching.WRITE_BACK)));
    }

    /// Checks the files, and gives memory of zeroes in their place: stores do not reach the files.
    @Override
    public Aperture mapAperture(String name, List<FilePages> parts) {
        requireProbing("mapAperture");
        if (parts.isEmpty()) {
            throw violation("an aperture without pages: " + name);
        }
        for (FilePages part : parts) {
            if (!Files.isRegularFile(part.file())) {
                throw new MdevException(Errno.ENOENT, "no regular file: file=" + part.file());
            }
        }
        return newAperture(
                parts.stream().mapToLong(FilePages::npages).sum(),
                first -> {
                    NavigableMap<Long, Caching> types = new TreeMap<>();
                    long next = first;
                    for (FilePages part : parts) {
                        types.put(next, part.caching());
                        next += part.npages();
                    }
                    return types;
                });
    }

    @Override
    public void report(String text) {
        requireProbing("report");
        reports.add(text);
    }

    @Override
    public Reporter reporterOf(String parent) {
        requireProbing("reporterOf");
        if (!ParentLayout.isParentName(parent)) {
            throw violation("reporterOf what is no name of a parent: " + parent);
        }
        return (level, text) -> {
            requireReport(text);
            parentReports.add(new ParentReport(parent, level, text));
        };
    }

    /// What a driver told of a parent.
    public record ParentReport(String parent, ReportLevel level, String text) {}

    /// What the driver told of parents, in its order.
    public List<ParentReport> parentReports() {
        return List.copyOf(parentReports);
    }

    /// @throws ContractViolation if a text for the operator is too long, or has several lines
    void requireReport(String text) {
        if (text.length() > Callbacks.MOST_TEXT_CHARS || text.indexOf('\n') >= 0) {
            throw violation(
                    "a report of %d characters: one line of at most %d is taken"
                            .formatted(text.length(), Callbacks.MOST_TEXT_CHARS));
        }
    }

    /// What the driver told of devices that it leaves out.
    public List<String> reports() {
        return List.copyOf(reports);
    }

    /// @param types the memory types, from the first pfn
    private Aperture newAperture(long npages, LongFunction<NavigableMap<Long, Caching>> types) {
        faults.check(FaultInjector.Site.ALLOCATE);
        synchronized (apertures) {
            SparseAperture memory =
                    new SparseAperture(new PfnRange(nextPfn, npages), types.apply(nextPfn));
            // A gap, so that two apertures are never adjacent.
            nextPfn += npages + 1;
            DriverAperture aperture = new DriverAperture(memory, faults);
            apertures.add(aperture);
            return aperture;
        }
    }

    @Override
    public Optional<String> setting(String key) {
        requireProbing("setting");
        return Optional.ofNullable(options.settings().get(key));
    }

    /// The devices that the driver found.
    public List<InMemoryParent> parents() {
        return parents;
    }

    /// The only device that the driver found.
    public InMemoryParent parent() {
        if (parents.size() != 1) {
            throw new IllegalStateException("parents=" + parents.size());
        }
        return parents.getFirst();
    }

    /// The seed of all random choices here.
    public long seed() {
        return options.seed();
    }

    /// Makes this host fail from time to time.
    public FaultInjector faults() {
        return faults;
    }

    /// The violations of the contract so far.
    public List<ContractViolation> violations() {
        return List.copyOf(violations);
    }

    /// Ends all devices, and searches for leftovers.
    ///
    /// @throws ContractViolation the first violation
    @Override
    public void close() {
        for (InMemoryParent parent : parents) {
            try {
                parent.close();
            } catch (ContractViolation violation) {
                violations.add(violation);
            } catch (MdevException e) {
                violation("close of " + parent.name() + " threw " + e);
            }
        }
        driversThreads().ifPresent(left -> violation("a thread outlives all devices: " + left));
        if (!violations.isEmpty()) {
            // A new one: the first may already be in flight through a try statement.
            ContractViolation first = violations.getFirst();
            throw new ContractViolation(
                    "%d violations, the first: %s".formatted(violations.size(), first.getMessage()),
                    first);
        }
    }

    /// A thread that driver code started and that is still running, after waiting for it to end.
    private Optional<String> driversThreads() {
        long end = System.nanoTime() + options.deadline().toNanos();
        Thread[] found = new Thread[64];
        int count = threads.enumerate(found);
        for (int i = 0; i < count; i++) {
            try {
                found[i].join(Math.max(1, (end - System.nanoTime()) / 1_000_000));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("interrupted", e);
            }
            if (found[i].isAlive()) {
                return Optional.of(found[i].getName());
            }
        }
        return Optional.empty();
    }

    ContractViolation violation(String message) {
        ContractViolation violation = new ContractViolation(message);
        violations.add(violation);
        return violation;
    }

    /// The most that the work of a driver's own threads may take, on a machine that is too busy for
    /// it.
    Duration patience() {
        return options.deadline().multipliedBy(BUSY_MACHINE);
    }

    StepGate newStepGate() {
        return new StepGate(patience());
    }

    Callbacks newCallbacks(String name) {
        return new Callbacks(name, options.deadline(), threads);
    }

    SparseAperture memoryOf(Aperture aperture) {
        if (aperture instanceof DriverAperture known && apertures.contains(known)) {
            return known.memory();
        }
        throw violation("not an aperture of this host: " + aperture.getClass().getName());
    }

    boolean scattersShares() {
        return options.scattersShares();
    }

    UUID nextUuid() {
        synchronized (random) {
            return new UUID(random.nextLong(), random.nextLong());
        }
    }

    private void requireProbing(String what) {
        if (!probing) {
            throw violation(what + " after probe");
        }
    }
}
