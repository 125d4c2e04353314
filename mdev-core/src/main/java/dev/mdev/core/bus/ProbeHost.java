package dev.mdev.core.bus;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.FilePages;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentHost;
import dev.mdev.api.Reporter;
import dev.mdev.core.driver.DriverText;
import dev.mdev.core.hostfile.DeviceFile;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.JoinedBlocks;
import dev.mdev.core.sys.Syscalls;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;

/// The host interface for a driver during one search for its devices. After [#end] the driver gets
/// nothing more: what it allocates then, nobody would free.
///
/// Any thread may call all methods. The lock is a leaf.
final class ProbeHost implements ParentHost {
    /// The texts of [#report] that one search passes on; the others are counted.
    static final int MAX_REPORTS = 16;

    private final HostMemory memory;
    private final Search search;
    private final AtomicLong reports = new AtomicLong();
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final List<Given> given = new ArrayList<>();

    @GuardedBy("lock")
    private boolean ended;

    /// A search.
    ///
    /// @param driver the driver's name
    /// @param settings the operator's settings for it
    /// @param isPresent whether it is to leave a parent out
    /// @param reports receives what it tells of devices that it leaves out
    /// @param reporters makes the reporter of a parent
    /// @param lookAgain asks for another search
    record Search(
            String driver,
            Map<String, String> settings,
            Predicate<String> isPresent,
            Consumer<String> reports,
            Function<String, Reporter> reporters,
            Runnable lookAgain) {}

    /// An aperture of this host.
    ///
    /// @param isZero whether it was all zeroes
    private record Given(Aperture aperture, List<HostMemory.Block> blocks, boolean isZero) {
        @SuppressWarnings("ReferenceEquality") // the very object that we gave
        boolean is(Aperture other) {
            return aperture == other;
        }
    }

    ProbeHost(HostMemory memory, Search search) {
        this.memory = memory;
        this.search = search;
    }

    /// The driver has answered.
    void end() {
        lock.lock();
        try {
            ended = true;
        } finally {
            lock.unlock();
        }
        long more = reports.get() - MAX_REPORTS;
        if (more > 0) {
            search.reports.accept(
                    "%d more reports of driver=%s are left out".formatted(more, search.driver));
        }
    }

    private void requireSearching() {
        lock.lock();
        try {
            if (ended) {
                throw overdue();
            }
        } finally {
            lock.unlock();
        }
    }

    private MdevException overdue() {
        return new MdevException(
                Errno.ESHUTDOWN, "the host is valid only during probe: driver=" + search.driver);
    }

    @Override
    public boolean isPresent(String parent) {
        requireSearching();
        return search.isPresent.test(parent);
    }

    @Override
    public Runnable lookAgain() {
        requireSearching();
        return search.lookAgain;
    }

    @Override
    public Aperture allocateAperture(String name, long npages) {
        requireSearching();
        HostMemory.Block block = memory.allocate(DriverText.cutName(name), npages);
        keep(new Given(block, List.of(block), true));
        return block;
    }

    @Override
    public Aperture mapAperture(String name, List<FilePages> parts) {
        requireSearching();
        List<HostMemory.Part> files = DeviceFile.open(Syscalls.ofThisProcess(), parts);
        JoinedBlocks joined = new JoinedBlocks(memory.adoptAll(DriverText.cutName(name), files));
        keep(new Given(joined, joined.blocks(), false));
        return joined;
    }

    private void keep(Given aperture) {
        lock.lock();
        try {
            if (!ended) {
                given.add(aperture);
                return;
            }
        } finally {
            lock.unlock();
        }
        aperture.blocks.forEach(memory::free);
        throw overdue();
    }

    @Override
    public void report(String text) {
        requireSearching();
        if (reports.incrementAndGet() <= MAX_REPORTS) {
            search.reports.accept(DriverText.cut(text));
        }
    }

    @Override
    public Reporter reporterOf(String parent) {
        requireSearching();
        return search.reporters.apply(parent);
    }

    @Override
    public Optional<String> setting(String key) {
        requireSearching();
        return Optional.ofNullable(search.settings.get(key));
    }

    /// Whether this host allocated the aperture's memory: it was all zeroes.
    boolean gaveZeroes(Aperture aperture) {
        return given().stream().anyMatch(it -> it.isZero && it.is(aperture));
    }

    /// Frees the memory of an aperture, if this host gave it.
    void free(Aperture aperture) {
        given().stream()
                .filter(it -> it.is(aperture))
                .findFirst()
                .filter(this::take)
                .ifPresent(it -> it.blocks.forEach(memory::free));
    }

    /// Frees the memory of all other apertures.
    void freeUnless(Predicate<Aperture> used) {
        given().stream().map(Given::aperture).filter(used.negate()).forEach(this::free);
    }

    private List<Given> given() {
        lock.lock();
        try {
            return List.copyOf(given);
        } finally {
            lock.unlock();
        }
    }

    /// @return whether it was there
    private boolean take(Given aperture) {
        lock.lock();
        try {
            return given.remove(aperture);
        } finally {
            lock.unlock();
        }
    }
}
