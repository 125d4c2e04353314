package dev.mdev.core.device;

import dev.mdev.api.DeviceState;
import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaOps;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.Function;

/// One mediated device: who it is, what of its regions a guest has mapped, and what happened.
///
/// All methods may be called by any thread.
public final class Mdev {
    /// The most counters that a driver may have for a device.
    public static final int MOST_COUNTERS = 256;

    private final UUID uuid;
    private final Parent parent;
    private final MdevType type;
    private volatile List<PoolShare> share;
    private final Instant created = Instant.now();
    private final DriverCalls calls;
    private final FaultLog faults = new FaultLog();
    private final RegionReverseMap mappings = new RegionReverseMap();
    private final BusObserver observer;

    private final AssignedGuest guest = new AssignedGuest();

    /// Set once, by [#bind], before anybody else sees the object.
    private @Nullable MdevDevice device;

    /// Set with `device`.
    private @Nullable PciProfile profile;

    private final Assignment assignment;

    /// Null until the driver said whether it is so.
    private volatile @Nullable Boolean movable;

    /// Set when the device is ended, before its mappings are revoked: from then on its driver is
    /// asked nothing more.
    private volatile boolean ended;

    /// Whether the driver was told to stop and not yet to go on. Changed in the device's turn.
    private volatile boolean stopped;

    /// Counts assignments that ended. A register access that was under way when its machine lost
    /// the device, and gets its turn later, is refused by it.
    private volatile long epoch;

    Mdev(UUID uuid, Parent parent, MdevType type, List<PoolShare> share, BusObserver observer) {
        this.uuid = uuid;
        this.parent = parent;
        this.type = type;
        this.share = share;
        this.observer = observer;
        this.assignment = new Assignment(uuid);
        this.calls =
                new DriverCalls(
                        "mdev=" + uuid,
                        parent.callDeadline(),
                        (owner, callback, nanos) -> observer.called(this, callback, nanos));
    }

    /// Takes the driver's object, to close it at least.
    void own(MdevDevice made) {
        device = made;
    }

    /// Whether there is a driver's object.
    boolean isOwned() {
        return device != null;
    }

    /// Takes the driver's object, after checking what it says of itself.
    void bind(MdevDevice made, PciProfile itsProfile) {
        Set<Integer> seen = new HashSet<>();
        for (RegionInfo region : itsProfile.regions()) {
            if (!seen.add(region.index())) {
                throw new MdevException(
                        Errno.EINVAL, "two regions of one index: region=" + region.index());
            }
        }
        device = made;
        profile = itsProfile;
    }

    public UUID uuid() {
        return uuid;
    }

    public Parent parent() {
        return parent;
    }

    public MdevType type() {
        return type;
    }

    /// The pages that belong to the device. They change only while nobody has it.
    public List<PoolShare> share() {
        return share;
    }

    public Instant created() {
        return created;
    }

    /// The regions that the driver serves.
    public List<RegionInfo> regions() {
        return profile().regions();
    }

    /// The most vectors that it has of MSI or MSI-X.
    public int vectors() {
        return Math.max(profile().irqs().msiVectors(), profile().irqs().msixVectors());
    }

    PciProfile profile() {
        PciProfile made = profile;
        if (made == null) {
            throw new IllegalStateException("not bound: mdev=" + uuid);
        }
        return made;
    }

    /// The guest's memory as the driver reaches it, now and in later assignments.
    GuestMemory guestMemory() {
        return guest;
    }

    /// The device's interrupts as the driver raises them, now and in later assignments.
    Interrupts interrupts() {
        return guest;
    }

    /// A region that the driver serves, by its index.
    ///
    /// @throws MdevException EINVAL if the device has no such region
    public RegionInfo region(int index) {
        return regions().stream()
                .filter(region -> region.index() == index)
                .findFirst()
                .orElseThrow(() ->
                        new MdevException(
                                Errno.EINVAL, "mdev=%s region=%d".formatted(uuid, index)));
    }

    /// Who has the device, if somebody has.
    public Optional<String> holder() {
        return assignment.holder().map(DeviceHolder::name);
    }

    /// Gives the device to a machine that cannot be asked to let it go.
    ///
    /// @param who the machine's name, for messages
    /// @return the assignment's number, for [#read] and [#write]
    /// @throws MdevException as [#assign(DeviceHolder)]
    public long assign(String who) {
        return assign(DeviceHolder.named(who));
    }

    /// Gives the device to a machine.
    ///
    /// @return the assignment's number, for [#read] and [#write]
    /// @throws MdevException EBUSY if somebody has it, or the host works on it, ENODEV if it is
    ///   being removed, EIO if it could not be reset since its last holder
    public long assign(DeviceHolder who) {
        assignment.take(who);
        if (assignment.mayHoldOthers()) {
            resetForFirstHolder();
        }
        observer.assigned(this, who.name());
        return epoch;
    }

    /// Nobody knows what a device that was taken over has in it: it gets its first state when
    /// somebody gets the device, and not before, so that it can be saved until then.
    private void resetForFirstHolder() {
        resetBetweenHolders();
        try {
            assignment.requireClean();
        } catch (MdevException e) {
            var _ = assignment.giveBack();
            throw e;
        }
    }

    /// Notes that the device was made and used before we had it.
    void markTakenOver() {
        assignment.markTakenOver();
    }

    /// Lets the driver reach the guest that has the device.
    ///
    /// @param assigned the guest's assignment, as [#assign] returned it
    /// @throws MdevException ENODEV if that assignment is over
    void connect(long assigned, GuestPort port) {
        requireEpoch(assigned);
        guest.connect(port);
    }

    /// Takes the device back: removes all mappings, cuts the driver off from the guest, and resets
    /// it so that the next holder finds nothing of this one's. If that fails nobody gets the device
    /// until a [#reset] succeeds.
    @SuppressWarnings("NonAtomicVolatileUpdate") // only the one holder ends its assignment
    public void unassign() {
        epoch++;
        guest.connect(null);
        mappings.clear();
        if (!ended) {
            resetBetweenHolders();
        }
        assignment.giveBack().ifPresent(who -> observer.unassigned(this, who.name()));
    }

    /// Puts the device into its first state, or lets nobody have it.
    private void resetBetweenHolders() {
        switch (call("reset", MdevDevice::reset)) {
            case RegionAccess.Done _ -> assignment.markClean();
            case RegionAccess.Failed failed -> assignment.markUnclean(failed.reason());
        }
    }

    /// Who has it, and whether anybody may get it.
    Assignment assignment() {
        return assignment;
    }

    /// Takes the device from whoever has it, for good: when this returns, no guest access reaches
    /// its pages, it reaches no guest, and its driver is asked nothing more but to close it. What a
    /// guest reserved for it stays reserved until the guest's machine lets go.
    void revokeForGood() {
        ended = true;
        guest.connect(null);
        mappings.zapAll();
    }

    /// Asks whoever has the device to let it go.
    void requestRelease() {
        GuestPort port = guest.port();
        if (port != null) {
            port.requestRelease();
        }
    }

    /// Reserves the addresses of one area of a region in a guest's host address space. Nothing is
    /// mapped yet, and no driver code runs.
    ///
    /// @throws MdevException EINVAL if the area is trapped; else as [HostMm#reserve]
    public Vma map(HostMm mm, RegionInfo region, RegionArea area) {
        if (area.kind() == RegionArea.Kind.TRAPPED) {
            throw new MdevException(
                    Errno.EINVAL,
                    "a trapped area is not mapped: mdev=%s region=%d"
                            .formatted(uuid, region.index()));
        }
        VmaOps ops =
                new RegionVmaOps(
                        region.index(),
                        area,
                        this::driver,
                        calls,
                        new RegionVmaOps.Checks(new GrantCheck(share), this::faulted));
        return mappings.map(mm, region.index(), area, ops);
    }

    /// Maps all of a range that [#map] reserved, as far as the driver grants it; the rest faults at
    /// its first access. For eager areas, once the guest can reach them. Calls the driver.
    public void populate(HostMm mm, Vma vma) {
        mappings.populate(mm, vma);
    }

    /// Takes back what is mapped in a range that [#map] reserved; the next access faults. When it
    /// returns, no access that began before still uses the old pages.
    public void zap(HostMm mm, Vma vma) {
        mm.zap(vma.range());
    }

    /// Removes one mapping made by [#map].
    public void unmap(Vma vma) {
        mappings.unmap(vma);
    }

    private void faulted(FaultRecord fault) {
        faults.add(fault);
        observer.faulted(this, fault);
    }

    /// A guest's load from a trapped address.
    ///
    /// @param assigned the guest's assignment, as [#assign] returned it
    public RegionAccess read(long assigned, int region, long offsetBytes, int widthBytes) {
        Optional<String> outside = outsideOf(region, offsetBytes, widthBytes);
        if (outside.isPresent()) {
            return new RegionAccess.Failed(Errno.EINVAL, outside.get());
        }
        DriverOutcome<Long> outcome =
                calls.access(
                        "read",
                        () -> {
                            requireEpoch(assigned);
                            return driver().read(region, offsetBytes, widthBytes);
                        });
        return switch (outcome) {
            case DriverOutcome.Returned<Long> returned ->
                    new RegionAccess.Done(returned.value() & maskOf(widthBytes));
            case DriverOutcome.Failed<Long> failed ->
                    new RegionAccess.Failed(failed.errno(), failed.reason());
        };
    }

    /// A guest's store to a trapped address.
    ///
    /// @param assigned the guest's assignment, as [#assign] returned it
    public RegionAccess write(
            long assigned, int region, long offsetBytes, int widthBytes, long value) {
        Optional<String> outside = outsideOf(region, offsetBytes, widthBytes);
        if (outside.isPresent()) {
            return new RegionAccess.Failed(Errno.EINVAL, outside.get());
        }
        return outcomeOf(
                calls.access(
                        "write",
                        () -> {
                            requireEpoch(assigned);
                            driver().write(
                                            region,
                                            offsetBytes,
                                            widthBytes,
                                            value & maskOf(widthBytes));
                            return true;
                        }));
    }

    private void requireEpoch(long assigned) {
        if (assigned != epoch) {
            throw new MdevException(
                    Errno.ENODEV, "mdev=%s was taken from the machine".formatted(uuid));
        }
    }

    private Optional<String> outsideOf(int region, long offsetBytes, int widthBytes) {
        boolean inside =
                regions().stream()
                        .anyMatch(info ->
                                info.index() == region
                                        && offsetBytes >= 0
                                        && widthBytes >= 1
                                        && offsetBytes <= info.sizeBytes() - widthBytes);
        return inside
                ? Optional.empty()
                : Optional.of(
                        "access leaves the region: region=%d offset=0x%x widthBytes=%d"
                                .formatted(region, offsetBytes, widthBytes));
    }

    private static long maskOf(int widthBytes) {
        return widthBytes >= Long.BYTES ? -1L : (1L << (widthBytes * 8)) - 1;
    }

    private RegionAccess call(String callback, Consumer<MdevDevice> body) {
        return outcomeOf(
                calls.call(
                        callback,
                        () -> {
                            body.accept(driver());
                            return true;
                        }));
    }

    private static RegionAccess outcomeOf(DriverOutcome<Boolean> outcome) {
        return switch (outcome) {
            case DriverOutcome.Returned<Boolean> _ -> new RegionAccess.Done(0);
            case DriverOutcome.Failed<Boolean> failed ->
                    new RegionAccess.Failed(failed.errno(), failed.reason());
        };
    }

    /// What the device puts out as a display, whoever has it.
    ///
    /// @throws MdevException what the driver threw, ETIMEDOUT if it is busy for too long
    public Scanout scanout() {
        DriverOutcome<Scanout> outcome = calls.call("picture", () -> Scanout.of(driver()));
        return switch (outcome) {
            case DriverOutcome.Returned<Scanout> returned -> returned.value();
            case DriverOutcome.Failed<Scanout> failed ->
                    throw new MdevException(failed.errno(), failed.reason());
        };
    }

    /// What the driver counted for the device, by name.
    ///
    /// @throws MdevException what the driver threw, ETIMEDOUT if it is busy for too long, E2BIG if
    ///   there are more than [#MOST_COUNTERS]
    public SortedMap<String, Long> counters() {
        DriverOutcome<SortedMap<String, Long>> outcome =
                calls.call("counters", () -> new TreeMap<>(driver().counters()));
        SortedMap<String, Long> counters =
                switch (outcome) {
                    case DriverOutcome.Returned<SortedMap<String, Long>> returned ->
                            returned.value();
                    case DriverOutcome.Failed<SortedMap<String, Long>> failed ->
                            throw new MdevException(failed.errno(), failed.reason());
                };
        if (counters.size() > MOST_COUNTERS) {
            throw new MdevException(
                    Errno.E2BIG, "mdev=%s counters=%d".formatted(uuid, counters.size()));
        }
        return counters;
    }

    /// Takes back what is mapped of a region: see [MdevContext#revoke].
    public void revoke(int region, long firstPage, long npages) {
        RegionInfo info = region(region);
        if (firstPage < 0 || npages < 1) {
            throw new MdevException(
                    Errno.EINVAL,
                    "mdev=%s region=%d firstPage=%d npages=%d"
                            .formatted(uuid, region, firstPage, npages));
        }
        long endPage = Math.min(info.npages(), firstPage + Math.min(npages, info.npages()));
        mappings.zap(region, firstPage, endPage);
    }

    /// Resets the function: its configuration space gets its first values, so that no BAR is
    /// decoded and no message enabled, every mapping is revoked, and the driver puts the device
    /// into its first state. What it has pinned stays pinned.
    ///
    /// @throws MdevException what the driver threw
    public void reset() {
        if (reset(epoch) instanceof RegionAccess.Failed failed) {
            throw new DriverException(failed.errno(), failed.reason());
        }
    }

    /// Lets the machine that has the device set it up again after a [#reset], as firmware does:
    /// BARs are where they were. Nothing happens if no machine has it, or one that leaves it to its
    /// guest.
    public void runFirmware() {
        GuestPort port = guest.port();
        if (port != null) {
            port.runFirmware();
        }
    }

    /// The same, asked for by the guest.
    ///
    /// @param assigned the guest's assignment, as [#assign] returned it
    /// @return what the driver threw, if it did
    RegionAccess reset(long assigned) {
        GuestPort port = guest.port();
        if (port != null) {
            port.reset();
        }
        mappings.zapAll();
        RegionAccess outcome =
                call(
                        "reset",
                        made -> {
                            requireEpoch(assigned);
                            made.reset();
                        });
        if (outcome instanceof RegionAccess.Done) {
            assignment.markClean();
        }
        return outcome;
    }

    /// Tells the driver of guest memory that goes away. Whatever it throws, the memory goes.
    ///
    /// @param iova first address
    /// @param lengthBytes bytes
    public void dmaUnmapped(long iova, long lengthBytes) {
        var _ = call("dmaUnmapped", made -> made.dmaUnmapped(iova, lengthBytes));
    }

    /// Ends the driver's object, after [#revokeForGood]. Waits for calls that are under way,
    /// however long they take.
    ///
    /// @return what went wrong, if something did; the object is given up all the same
    Optional<String> close() {
        DriverOutcome<Boolean> outcome =
                calls.callWheneverFree(
                        "close",
                        () -> {
                            bound().close();
                            return true;
                        });
        return outcome instanceof DriverOutcome.Failed<Boolean> failed
                ? Optional.of(failed.reason())
                : Optional.empty();
    }

    /// The calls of its driver's object.
    DriverCalls calls() {
        return calls;
    }

    /// Asks the driver something.
    ///
    /// @throws MdevException what the driver threw
    <T> T ask(String callback, Function<MdevDevice, T> question) {
        return BusContext.orThrow(calls.call(callback, () -> question.apply(driver())));
    }

    /// Whether the device does nothing by itself until somebody gets it.
    boolean isStopped() {
        return stopped;
    }

    /// Lets the device do nothing by itself. It may be so already, if it was restored while nobody
    /// had it.
    ///
    /// @throws MdevException what the driver threw
    void stop(DeviceState state) {
        var _ =
                ask(
                        "stop",
                        _ -> {
                            if (!stopped) {
                                state.stop();
                                stopped = true;
                            }
                            return true;
                        });
    }

    /// Lets the device go on.
    ///
    /// @throws MdevException what the driver threw
    void resume(DeviceState state) {
        var _ =
                ask(
                        "resume",
                        _ -> {
                            if (stopped) {
                                stopped = false;
                                state.resume();
                            }
                            return true;
                        });
    }

    /// Lets a device go on that was restored while nobody had it: what it was doing needs a guest.
    /// For its new holder, once the device reaches the guest's memory. Does nothing otherwise.
    ///
    /// @throws MdevException what the driver threw
    public void resumeRestored() {
        if (stopped) {
            ask("state", MdevDevice::state).ifPresent(this::resume);
        }
    }

    /// Takes back every mapping; the next access faults.
    void revokeAll() {
        mappings.zapAll();
    }

    /// Lets the driver put the device into its first state.
    ///
    /// @throws MdevException what the driver threw
    void resetDriver() {
        if (call("reset", MdevDevice::reset) instanceof RegionAccess.Failed failed) {
            throw new DriverException(failed.errno(), failed.reason());
        }
    }

    /// Whether the driver lets the device's pages be moved.
    boolean isMovable() {
        Boolean known = movable;
        if (known == null
                && calls.call("isMovable", () -> driver().isMovable())
                        instanceof DriverOutcome.Returned<Boolean> answer) {
            known = answer.value();
            movable = known;
        }
        return known != null && known;
    }

    /// Gives the device other pages. Nobody may have the device.
    ///
    /// @param copy copies the content; runs while no other call of the device does, and the device
    ///   does nothing by itself
    /// @return why the device does not go on, if its driver does not let it; it has its new pages
    /// @throws MdevException what the driver threw; the device has its old pages then
    Optional<MdevException> moveTo(List<PoolShare> target, Runnable copy) {
        Optional<DeviceState> running =
                stopped ? Optional.empty() : ask("state", MdevDevice::state);
        running.ifPresent(this::stop);
        RegionAccess moved;
        Optional<MdevException> stands;
        try {
            moved = call("shareMoved", made -> moveAlone(made, target, copy));
        } finally {
            stands = running.flatMap(this::tryResume);
        }
        if (moved instanceof RegionAccess.Failed failed) {
            MdevException trouble = new DriverException(failed.errno(), failed.reason());
            stands.ifPresent(trouble::addSuppressed);
            throw trouble;
        }
        return stands;
    }

    private void moveAlone(MdevDevice made, List<PoolShare> target, Runnable copy) {
        List<PoolShare> old = share;
        boolean moved = false;
        try {
            copy.run();
            share = List.copyOf(target);
            made.shareMoved(target);
            moved = true;
        } finally {
            if (!moved) {
                share = old;
            }
        }
    }

    private Optional<MdevException> tryResume(DeviceState state) {
        try {
            resume(state);
            return Optional.empty();
        } catch (MdevException e) {
            return Optional.of(e);
        }
    }

    private MdevDevice driver() {
        requireAlive();
        return bound();
    }

    /// @throws MdevException ENODEV if the device has ended
    void requireAlive() {
        if (ended) {
            throw new MdevException(Errno.ENODEV, "mdev=%s was removed".formatted(uuid));
        }
    }

    private MdevDevice bound() {
        MdevDevice made = device;
        if (made == null) {
            throw new IllegalStateException("not bound: mdev=" + uuid);
        }
        return made;
    }

    /// Faults so far, without those that the host caused by mapping ahead.
    public long faultCount() {
        return faults.total();
    }

    public Map<FaultRecord.Outcome, Long> faultCounts() {
        return faults.counts();
    }

    /// The last faults, newest first, up to 256.
    public List<FaultRecord> recentFaults() {
        return faults.recent();
    }

    /// Pages of the region that are mapped now.
    public long residentPages(int region) {
        return mappings.residentPages(region);
    }

    /// Pages of all regions that are mapped now.
    public long residentPages() {
        return regions().stream().mapToLong(region -> residentPages(region.index())).sum();
    }

    /// The callback that has been running for longer than it may, if one has, with its time.
    public Optional<String> overdueCallback() {
        return calls.overdue()
                .map(call ->
                        "%s for %d ms on thread %s"
                                .formatted(
                                        call.callback(),
                                        (System.nanoTime() - call.sinceNanos()) / 1_000_000,
                                        call.thread().getName()));
    }

    @Override
    public String toString() {
        return "mdev=%s type=%s parent=%s".formatted(uuid, type.id(), parent.name());
    }
}
