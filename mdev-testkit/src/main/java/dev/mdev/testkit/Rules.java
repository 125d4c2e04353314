package dev.mdev.testkit;

import com.google.errorprone.annotations.FormatMethod;

import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.function.Consumer;

/// The common parts of the conformance suite's groups: a host around the driver, and checks of a
/// device.
abstract class Rules {
    /// The checked pages of a lazy area: all of a small one, a sample of a large one.
    private static final int MAX_PAGES = Integer.getInteger("mdev.testkit.pages", 512);

    /// The seed of all random choices in one test.
    private final long seed = InMemoryHost.Options.standard().seed();

    /// The driver.
    abstract DriverUnderTest subject();

    InMemoryHost.Options options() {
        return InMemoryHost.Options.standard()
                .withSeed(seed)
                .withSettings(subject().settings())
                .withDeadline(subject().deadline());
    }

    /// A fresh driver. It is made under the deadline, like everything that runs the driver's code.
    ParentDriver newDriver() {
        return guarded("the driver's constructor", subject()::newDriver);
    }

    /// Runs driver code that no host calls.
    <T> T guarded(String what, Callable<T> body) {
        try (Callbacks callbacks =
                new Callbacks("driver", subject().deadline(), new ThreadGroup("driver"))) {
            return callbacks.call(what, body);
        }
    }

    /// Runs a test at a fresh host with scattered shares. Its exceptions name the seed.
    void atHost(Consumer<InMemoryHost> test) {
        atHost(true, test);
    }

    private void atHost(boolean scattersShares, Consumer<InMemoryHost> test) {
        InMemoryHost.Options options = options().withScatteredShares(scattersShares);
        try (InMemoryHost host = new InMemoryHost(newDriver(), options)) {
            test.accept(host);
        } catch (MdevException e) {
            // Where a rule expects a failure, it catches it.
            var verdict = new ContractViolation("the driver fails where it may not: " + e, e);
            addSeed(verdict, scattersShares);
            throw verdict;
        } catch (RuntimeException | Error e) {
            addSeed(e, scattersShares);
            throw e;
        }
    }

    private void addSeed(Throwable thrown, boolean scattersShares) {
        thrown.addSuppressed(
                new AssertionError(
                        "-Dmdev.seed=%d scattersShares=%b".formatted(seed, scattersShares)));
    }

    /// Runs a test twice: at a host with scattered shares, and at one with shares in one piece.
    /// Some drivers mix pages up in the one case, some in the other.
    void atHosts(Consumer<InMemoryHost> test) {
        atHost(true, test);
        atHost(false, test);
    }

    /// Times that a test with random accesses starts over.
    static final int ROUNDS = Integer.getInteger("mdev.testkit.rounds", 4);

    /// Runs a test for a device of each type of each parent, alone on its host.
    void forEachType(Consumer<InMemoryMdev> test) {
        for (String[] names : typesOfParents()) {
            atHosts(host -> test.accept(parentOf(host, names[0]).create(names[1])));
        }
    }

    /// Runs a test for one device: of the first type of the first parent.
    void atDevice(Consumer<InMemoryMdev> test) {
        atHost(host -> test.accept(anyDevice(host)));
    }

    /// The same, twice: with a share that is scattered and with one in one piece.
    void atDevices(Consumer<InMemoryMdev> test) {
        atHosts(host -> test.accept(anyDevice(host)));
    }

    InMemoryMdev anyDevice(InMemoryHost host) {
        InMemoryParent parent = host.parents().getFirst();
        return parent.create(parent.layout().types().getFirst().id());
    }

    /// The same numbers at each call.
    SplittableRandom random() {
        return new SplittableRandom(~seed);
    }

    private List<String[]> typesOfParents() {
        List<String[]> names = new ArrayList<>();
        atHost(host -> {
            for (InMemoryParent parent : host.parents()) {
                for (MdevType type : parent.layout().types()) {
                    names.add(new String[] {parent.name(), type.id()});
                }
            }
        });
        return names;
    }

    private static InMemoryParent parentOf(InMemoryHost host, String name) {
        return host.parents().stream()
                .filter(parent -> parent.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new ContractViolation("a parent is gone: " + name));
    }

    /// A mappable page.
    record MappablePage(RegionInfo region, long page) {
        long offsetBytes() {
            return Page.addressOf(page);
        }
    }

    /// Mappable pages of a device: first and last of each area, and a sample.
    static List<MappablePage> mappablePages(InMemoryMdev mdev, SplittableRandom random) {
        List<MappablePage> pages = new ArrayList<>();
        for (RegionInfo region : mdev.regions()) {
            for (RegionArea area : region.areas()) {
                if (area.kind() != RegionArea.Kind.TRAPPED) {
                    addSample(pages, region, area, random);
                }
            }
        }
        return pages;
    }

    private static void addSample(
            List<MappablePage> pages, RegionInfo region, RegionArea area, SplittableRandom random) {
        long first = Page.numberOf(area.offsetBytes());
        long end = Page.numberOf(area.endBytes());
        if (end - first <= MAX_PAGES) {
            for (long page = first; page < end; page++) {
                pages.add(new MappablePage(region, page));
            }
            return;
        }
        random.longs(MAX_PAGES - 2L, first + 1, end - 1)
                .sorted()
                .distinct()
                .forEach(page -> pages.add(new MappablePage(region, page)));
        pages.addFirst(new MappablePage(region, first));
        pages.addLast(new MappablePage(region, end - 1));
    }

    /// A guest's loads from the start of every trapped page, word by word: a fingerprint of
    /// registers. Reads only pages that their area traps, at most 16 per region.
    static AccessTrace registers(InMemoryMdev mdev) {
        AccessTrace trace = mdev.guest().record();
        for (RegionInfo region : mdev.regions()) {
            int left = 16;
            for (long page = 0; page < region.npages() && left > 0; page++) {
                if (isTrapped(region, page)) {
                    loadWords(mdev, region, page);
                    left--;
                }
            }
        }
        mdev.guest().stopRecording();
        return trace;
    }

    /// Acts like a hostile guest, and then stores to every word of every trapped page.
    static void scribble(InMemoryMdev mdev, SplittableRandom random) {
        // First: its last act may be a reset, which leaves nothing that a driver could keep.
        new HostileGuest(mdev, random.split()).run(100);
        for (RegionInfo region : mdev.regions()) {
            int left = 16;
            for (long page = 0; page < region.npages() && left > 0; page++) {
                if (isTrapped(region, page)) {
                    storeWords(mdev, region, page, random);
                    left--;
                }
            }
        }
    }

    private static void storeWords(
            InMemoryMdev mdev, RegionInfo region, long page, SplittableRandom random) {
        long first = Page.addressOf(page);
        long end = Math.min(region.sizeBytes(), first + Page.SIZE);
        for (long offset = first; offset + Integer.BYTES <= end; offset += Integer.BYTES) {
            mdev.guest().tryStore(region.index(), offset, Integer.BYTES, random.nextLong());
        }
    }

    private static void loadWords(InMemoryMdev mdev, RegionInfo region, long page) {
        long first = Page.addressOf(page);
        long end = Math.min(region.sizeBytes(), first + Page.SIZE);
        for (long offset = first; offset + Integer.BYTES <= end; offset += Integer.BYTES) {
            mdev.guest().tryLoad(region.index(), offset, Integer.BYTES);
        }
    }

    static boolean isTrapped(RegionInfo region, long page) {
        long offset = Page.addressOf(page);
        return region.areas().stream()
                .filter(area -> area.kind() != RegionArea.Kind.TRAPPED)
                .noneMatch(area -> offset >= area.offsetBytes() && offset < area.endBytes());
    }

    @FormatMethod
    static void require(boolean condition, String message, Object... values) {
        if (!condition) {
            throw new ContractViolation(message.formatted(values));
        }
    }
}
