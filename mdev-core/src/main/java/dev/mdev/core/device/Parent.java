package dev.mdev.core.device;

import dev.mdev.api.Aperture;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.layout.ParentLayout;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.Capacity;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.capacity.PoolMap;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.PoolRuns;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/// A parent device on the bus.
public final class Parent {
    private final String driverName;

    // What the driver says of the parent is asked once: it may say something else later, or
    // nothing,
    // and we need it under locks of ours.
    private final ParentLayout layout;
    private final Aperture aperture;
    private final ParentDevice device;
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
        layout = ParentLayout.of(device);
        aperture = device.aperture();
        capacity = new Capacity(layout.pools());
        calls = new DriverCalls("parent=" + layout.name(), callDeadline, observer);
    }

    public String name() {
        return layout.name();
    }

    public String driverName() {
        return driverName;
    }

    public String description() {
        return layout.description();
    }

    public List<MdevType> types() {
        return layout.types();
    }

    /// A type by its id.
    ///
    /// @throws MdevException ENOENT if the parent has no such type
    public MdevType type(String id) {
        return types().stream()
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
        return layout.pools().stream()
                .map(pool ->
                        new PoolRuns(
                                pool.name(), List.of(ApertureRun.of(pool.pfns(), aperturePfns()))))
                .toList();
    }

    /// All pages of the aperture.
    public PfnRange aperturePfns() {
        return layout.aperture();
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
