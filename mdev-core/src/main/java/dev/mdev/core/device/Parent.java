package dev.mdev.core.device;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.Capacity;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.capacity.PoolMap;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.PoolRuns;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/// A parent device on the bus.
public final class Parent {
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9.:_-]{1,64}");

    private final String driverName;

    // The driver describes the parent once: later answers may differ, or fail, and the core needs
    // the description under its locks.
    private final String name;
    private final String description;
    private final Aperture aperture;
    private final PfnRange aperturePfns;
    private final ParentDevice device;
    private final List<ResourcePool> pools;
    private final List<MdevType> types;
    private final Capacity capacity;
    private final DriverCalls calls;
    private final Duration callDeadline;
    private final AtomicLong scrubbedBytes = new AtomicLong();
    private final AtomicLong scrubFailures = new AtomicLong();
    private final ParentExit exit = new ParentExit();
    private final Consumer<Aperture> apertureRelease;

    /// Changed by the registry, under its lock.
    private volatile Presence presence = Presence.ARRIVING;

    /// The presence of a parent.
    public enum Presence {
        /// Not usable yet: the host scrubs its pages and looks for its devices.
        ARRIVING,
        /// Usable.
        PRESENT,
        /// No longer usable: its devices are being ended, and it leaves when they are gone.
        LEAVING
    }

    /// A device that a driver found.
    ///
    /// @param apertureRelease frees the host's memory of its aperture
    public record Found(
            String driverName, ParentDevice device, Consumer<Aperture> apertureRelease) {}

    /// @throws MdevException EINVAL if the driver's description is invalid
    public Parent(Found found, Duration callDeadline, DriverCalls.CallObserver observer) {
        this.driverName = found.driverName();
        this.device = found.device();
        this.apertureRelease = found.apertureRelease();
        this.callDeadline = callDeadline;
        name = device.name();
        checkName(name);
        description = Objects.requireNonNull(device.description());
        aperture = device.aperture();
        aperturePfns = aperture.pfns();
        pools = List.copyOf(device.pools());
        checkPools(name, aperturePfns, pools);
        types = List.copyOf(device.types());
        checkTypes(pools, types);
        capacity = new Capacity(pools);
        calls = new DriverCalls("parent=" + name, callDeadline, observer);
    }

    private static void checkName(String name) {
        if (!NAME.matcher(name).matches()) {
            throw new MdevException(Errno.EINVAL, "not the name of a parent: " + name);
        }
    }

    private static void checkPools(String name, PfnRange aperture, List<ResourcePool> pools) {
        for (int i = 0; i < pools.size(); i++) {
            ResourcePool pool = pools.get(i);
            boolean overlaps =
                    pools.subList(0, i).stream()
                            .anyMatch(other -> other.pfns().overlaps(pool.pfns()));
            if (overlaps || !aperture.contains(pool.pfns())) {
                throw new MdevException(
                        Errno.EINVAL,
                        "pool overlaps another or leaves the aperture: parent=%s %s"
                                .formatted(name, pool));
            }
        }
    }

    private static void checkTypes(List<ResourcePool> pools, List<MdevType> types) {
        Set<String> ids = new HashSet<>();
        Set<String> names = new HashSet<>();
        pools.forEach(pool -> names.add(pool.name()));
        for (MdevType type : types) {
            if (!ids.add(type.id())) {
                throw new MdevException(Errno.EINVAL, "two types of one id: type=" + type.id());
            }
            for (MdevType.Demand demand : type.demands()) {
                if (!names.contains(demand.pool())) {
                    throw new MdevException(
                            Errno.EINVAL,
                            "type=%s demands pool=%s, which the parent has not"
                                    .formatted(type.id(), demand.pool()));
                }
            }
        }
    }

    public String name() {
        return name;
    }

    public String driverName() {
        return driverName;
    }

    public String description() {
        return description;
    }

    public List<MdevType> types() {
        return types;
    }

    /// A type by its id.
    ///
    /// @throws MdevException ENOENT if the parent has no such type
    public MdevType type(String id) {
        return types.stream()
                .filter(type -> type.id().equals(id))
                .findFirst()
                .orElseThrow(() ->
                        new ParentException(
                                ParentException.Reason.NO_SUCH_TYPE,
                                "parent=%s has no type=%s".formatted(name(), id)));
    }

    /// Each pool's state.
    public List<PoolUsage> usage() {
        return capacity.usage();
    }

    /// All pages of a pool with their use, ascending, without gaps.
    ///
    /// @throws MdevException EINVAL if the parent has no such pool
    public List<PoolExtent> extents(String pool) {
        return capacity.ask(pool, PoolMap::extents);
    }

    /// Its presence.
    public Presence presence() {
        return presence;
    }

    public void setPresence(Presence now) {
        presence = now;
    }

    /// Bytes scrubbed so far.
    public long scrubbedBytes() {
        return scrubbedBytes.get();
    }

    /// Failed attempts to scrub a page.
    public long scrubFailures() {
        return scrubFailures.get();
    }

    public void addScrubbed(ScrubReport report) {
        scrubbedBytes.addAndGet(report.bytes());
        scrubFailures.addAndGet(report.failedPages());
    }

    /// Why one more device of the type does not fit in the pools, or nothing if it fits.
    public Optional<String> explain(MdevType type) {
        return capacity.explain(type);
    }

    /// Frees the host's memory of the aperture. The device is closed.
    public void releaseAperture() {
        apertureRelease.accept(aperture);
    }

    /// Its exit.
    public ParentExit exit() {
        return exit;
    }

    /// The persistent form of the pools.
    public List<PoolRuns> poolRuns() {
        return pools.stream()
                .map(pool ->
                        new PoolRuns(
                                pool.name(), List.of(ApertureRun.of(pool.pfns(), aperturePfns))))
                .toList();
    }

    /// All pages of the aperture.
    public PfnRange aperturePfns() {
        return aperturePfns;
    }

    public Aperture aperture() {
        return aperture;
    }

    public Capacity capacity() {
        return capacity;
    }

    public ParentDevice device() {
        return device;
    }

    public DriverCalls calls() {
        return calls;
    }

    Duration callDeadline() {
        return callDeadline;
    }
}
