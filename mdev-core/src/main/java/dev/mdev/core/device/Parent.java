package dev.mdev.core.device;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.KernelNode;
import dev.mdev.api.KernelParent;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.Room;
import dev.mdev.api.layout.ParentLayout;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.Capacity;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.capacity.PoolMap;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.core.driver.DriverText;
import dev.mdev.core.elastic.ElasticPool;
import dev.mdev.core.elastic.ElasticUsage;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.PoolRuns;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Supplier;

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

    /// Questions to a parent in the kernel have a turn of their own: they must not wait for a
    /// creation.
    private final DriverCalls questions;

    private final Duration callDeadline;
    private final AtomicLong scrubbedBytes = new AtomicLong();
    private final AtomicLong scrubFailures = new AtomicLong();
    private final ParentExit exit = new ParentExit();
    private final Consumer<Aperture> apertureRelease;

    /// By the name of the pool. Set before the parent arrives.
    private volatile Map<String, ElasticPool> elastic = Map.of();

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
        if (!aperture.pfns().equals(layout.aperture())) {
            throw new MdevException(
                    Errno.EINVAL,
                    "parent=%s answers with another aperture each time: %s %s"
                            .formatted(layout.name(), layout.aperture(), aperture.pfns()));
        }
        capacity = new Capacity(layout.pools(), layout.sharedPools());
        calls = new DriverCalls("parent=" + layout.name(), callDeadline, observer);
        questions = new DriverCalls("parent=" + layout.name(), callDeadline, observer);
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

    /// A type by its id, or by its name if only one type has it.
    ///
    /// @throws MdevException ENOENT if the parent has no such type
    public MdevType type(String idOrName) {
        return types().stream()
                .filter(type -> type.id().equals(idOrName))
                .findFirst()
                .or(() -> typeNamed(idOrName))
                .orElseThrow(() ->
                        new ParentException(
                                ParentException.Reason.NO_SUCH_TYPE,
                                "parent=%s has no type=%s".formatted(name(), idOrName)));
    }

    private Optional<MdevType> typeNamed(String name) {
        List<MdevType> named = types().stream().filter(type -> type.name().equals(name)).toList();
        return named.size() == 1 ? Optional.of(named.getFirst()) : Optional.empty();
    }

    /// Each pool's state.
    public List<PoolUsage> usage() {
        return capacity.usage();
    }

    /// The pools with elastic shares, by name.
    public Map<String, ElasticPool> elastic() {
        return elastic;
    }

    /// What the devices have of elastic shares.
    public List<ElasticUsage> elasticUsage() {
        return elastic.values().stream().flatMap(pool -> pool.usage().stream()).toList();
    }

    public void setElastic(Map<String, ElasticPool> pools) {
        elastic = Map.copyOf(pools);
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

    /// Why one more device of the type does not fit, or nothing if it fits.
    public Optional<String> explain(MdevType type) {
        return room(type)
                .map(room -> Optional.of(room).filter(it -> it.devices() < 1).map(Room::reason))
                .orElseGet(() -> capacity.explain(type));
    }

    /// Whether its devices live in the kernel.
    public boolean isInKernel() {
        return device instanceof KernelParent;
    }

    /// How many more devices of the type it takes, if the kernel counts them. None if its driver
    /// fails to say.
    public Optional<Room> room(MdevType type) {
        if (!(device instanceof KernelParent kernel)) {
            return Optional.empty();
        }
        return Optional.of(
                switch (ask("room", () -> cut(kernel.room(type)))) {
                    case DriverOutcome.Returned<Room> answer -> answer.value();
                    case DriverOutcome.Failed<Room> failed ->
                            new Room(0, failed.refusal().reason());
                });
    }

    /// How programs outside this host get its devices; empty unless they live in the kernel.
    ///
    /// @throws MdevException its driver's error
    public Map<UUID, KernelNode> nodes() {
        return device instanceof KernelParent kernel
                ? ask("nodes", () -> cut(kernel.nodes())).orThrow()
                : Map.of();
    }

    private static Room cut(Room room) {
        return new Room(Math.max(0, room.devices()), DriverText.cut(room.reason()));
    }

    private static Map<UUID, KernelNode> cut(Map<UUID, KernelNode> nodes) {
        Map<UUID, KernelNode> cut = new LinkedHashMap<>();
        nodes.forEach((uuid, node) ->
                cut.put(
                        uuid,
                        new KernelNode(
                                DriverText.cut(node.sysfs()),
                                DriverText.cut(node.deviceApi()),
                                node.iommuGroup(),
                                node.vfio().map(DriverText::cut),
                                node.user().map(DriverText::cut))));
        return cut;
    }

    /// On a thread of its own: a file of the kernel may block, and the caller must come back. One
    /// question at a time.
    private <T> DriverOutcome<T> ask(String callback, Supplier<T> question) {
        return switch (questions.call(callback, () -> questions.callAside(callback, question))) {
            case DriverOutcome.Returned<DriverOutcome<T>> answer -> answer.value();
            case DriverOutcome.Failed<DriverOutcome<T>> failed ->
                    new DriverOutcome.Failed<>(failed.refusal());
        };
    }

    /// Frees the host's memory of the aperture. The device is closed.
    public void releaseAperture() {
        apertureRelease.accept(aperture);
    }

    /// Its exit.
    public ParentExit exit() {
        return exit;
    }

    /// The persistent form of the pools with pages of devices.
    public List<PoolRuns> poolRuns() {
        Set<String> shared = layout.sharedPools();
        return layout.pools().stream()
                .filter(pool -> !shared.contains(pool.name()))
                .map(pool ->
                        new PoolRuns(
                                pool.name(), List.of(ApertureRun.of(pool.pfns(), aperturePfns()))))
                .toList();
    }

    /// The pages that all devices of a type may map, read-only.
    public List<PfnRange> sharedPages(MdevType type) {
        return layout.sharedPages(type);
    }

    /// Whether pages of one pool are memory: see [ResourcePool#holdsContent].
    public boolean holdsContent(PfnRange pfns) {
        return layout.pools().stream()
                .filter(pool -> pool.pfns().overlaps(pfns))
                .allMatch(ResourcePool::holdsContent);
    }

    /// @throws MdevException EINVAL if this parent and the other one have a page in common
    public void requireApart(Parent other) {
        layout.requireApart(other.layout);
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

    /// All turns of its driver, for the watchdog: also that of questions, of which one may block.
    public List<DriverCalls> turns() {
        return List.of(calls, questions);
    }

    Duration callDeadline() {
        return callDeadline;
    }
}
