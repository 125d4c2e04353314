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
import dev.mdev.api.Refusal;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.mapping.FaultLog;
import dev.mdev.core.mapping.FaultRecord;
import dev.mdev.core.mapping.RegionReverseMap;
import dev.mdev.core.pci.GuestPort;
import dev.mdev.core.pci.PciProfile;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.UUID;

/// One mediated device: who it is, what of its regions a guest has mapped, and what happened.
///
/// All methods may be called by any thread.
public final class Mdev {
    /// The most counters that a driver may have for a device.
    public static final int MAX_COUNTERS = 256;

    private final UUID uuid;
    private final Parent parent;
    private final MdevType type;
    private volatile List<PoolShare> share;
    private final Instant created = Instant.now();
    private final DriverObject driver;
    private final FaultLog faults = new FaultLog();
    private final RegionReverseMap mappings = new RegionReverseMap();
    private final MdevListener listener;

    private final AssignedGuest guest = new AssignedGuest();

    private final Assignment assignment;

    /// Whoever has the device, once it was given to them.
    private volatile @Nullable MdevAssignment current;

    public Mdev(
            UUID uuid, Parent parent, MdevType type, List<PoolShare> share, MdevListener listener) {
        this.uuid = uuid;
        this.parent = parent;
        this.type = type;
        this.share = share;
        this.listener = listener;
        this.assignment = new Assignment(uuid);
        this.driver =
                new DriverObject(
                        uuid,
                        new DriverCalls(
                                "mdev=" + uuid,
                                parent.callDeadline(),
                                (owner, callback, nanos) ->
                                        listener.called(this, callback, nanos)));
    }

    /// What its driver made for it.
    public DriverObject driver() {
        return driver;
    }

    /// The calls of that.
    public DriverCalls calls() {
        return driver.calls();
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
        return driver.profile();
    }

    /// The guest's memory as the driver reaches it, now and in later assignments.
    public GuestMemory guestMemory() {
        return guest;
    }

    /// The device's interrupts as the driver raises them, now and in later assignments.
    public Interrupts interrupts() {
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
    /// @throws MdevException as [#assign(DeviceHolder)]
    public MdevAssignment assign(String who) {
        return assign(DeviceHolder.named(who));
    }

    /// Gives the device to a machine.
    ///
    /// @return the device, until the machine closes it
    /// @throws MdevException EBUSY if somebody has it, or the host works on it, ENODEV if it is
    ///   being removed or its parent is leaving, EIO if it could not be reset since its last holder
    public MdevAssignment assign(DeviceHolder who) {
        assignment.take(who);
        try {
            requireParent();
            if (assignment.mayHoldOthers()) {
                resetForFirstHolder();
            }
            MdevAssignment assigned = new MdevAssignment(this);
            current = assigned;
            listener.assigned(this, who.name());
            return assigned;
        } catch (RuntimeException | Error e) {
            current = null;
            var _ = assignment.giveBack();
            throw e;
        }
    }

    /// A parent that begins to leave sees who has its devices, or who gets one sees that it leaves.
    private void requireParent() {
        if (parent.presence() == Parent.Presence.LEAVING) {
            throw new MdevException(
                    Errno.ENODEV, "parent=%s of mdev=%s is leaving".formatted(parent.name(), uuid));
        }
    }

    /// Nobody knows what a device that was taken over has in it: it gets its first state when
    /// somebody gets the device, and not before, so that it can be saved until then.
    private void resetForFirstHolder() {
        resetBetweenHolders();
        driver.requireAlive();
        assignment.requireClean();
    }

    /// Notes that the device was made and used before we had it.
    public void markTakenOver() {
        assignment.markTakenOver();
    }

    /// Lets the driver reach the guest that has the device.
    ///
    /// @throws MdevException ENODEV if the device has ended
    void connect(GuestPort port) {
        guest.connect(port);
        // A removal ends the driver first and cuts the guest off then: it does, or we see its end.
        if (driver.hasEnded()) {
            guest.connect(null);
            driver.requireAlive();
        }
    }

    /// Takes the device back: see [MdevAssignment#close].
    void takeBack() {
        current = null;
        guest.connect(null);
        try {
            mappings.clear();
            if (!driver.hasEnded()) {
                resetBetweenHolders();
            }
        } catch (RuntimeException | Error e) {
            assignment.markUnclean("it was not reset: " + e);
            throw e;
        } finally {
            assignment.giveBack().ifPresent(who -> listener.unassigned(this, who.name()));
        }
    }

    /// Puts the device into its first state, or lets nobody have it.
    private void resetBetweenHolders() {
        // Whatever ends the call, an error that is thrown on included.
        assignment.markUnclean("its reset did not end");
        driver.run("reset", this::resetInTurn)
                .ifPresent(refusal -> assignment.markUnclean(refusal.reason()));
    }

    /// In the device's turn: nobody can use the device between its reset and the note of it.
    private void resetInTurn(MdevDevice made) {
        made.reset();
        assignment.markClean();
    }

    /// Who has it, and whether anybody may get it.
    public Assignment assignment() {
        return assignment;
    }

    /// Takes the device from whoever has it, for good: when this returns, no guest access reaches
    /// its pages, it reaches no guest, and its driver is asked nothing more but to close it. What a
    /// guest reserved for it stays reserved until the guest's machine lets go.
    public void revokeForGood() {
        driver.end();
        guest.connect(null);
        mappings.zapAll();
    }

    /// Asks whoever has the device to let it go.
    public void requestRelease() {
        GuestPort port = guest.port();
        if (port != null) {
            port.requestRelease();
        }
    }

    /// Where the device's regions are mapped.
    RegionReverseMap mappings() {
        return mappings;
    }

    void faulted(FaultRecord fault) {
        faults.add(fault);
        listener.faulted(this, fault);
    }

    /// What the device puts out as a display, whoever has it.
    ///
    /// @throws MdevException what the driver threw, ETIMEDOUT if it is busy for too long
    public Scanout scanout() {
        return driver.scanout();
    }

    /// What the driver counted for the device, by name.
    ///
    /// @throws MdevException what the driver threw, ETIMEDOUT if it is busy for too long, E2BIG if
    ///   there are more than [#MAX_COUNTERS]
    public SortedMap<String, Long> counters() {
        return driver.counters();
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
    /// @throws MdevException ENODEV if the device has ended, else what the driver threw
    public void reset() {
        driver.orThrow(reset(current));
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

    /// The same, for an assignment.
    ///
    /// @param holder the assignment that is reset; null if nobody had the device
    /// @return what the driver threw, if it did; ENODEV if the device changed hands meanwhile
    Optional<Refusal> reset(@Nullable MdevAssignment holder) {
        GuestPort port = guest.port();
        if (port != null) {
            port.reset();
        }
        mappings.zapAll();
        return driver.run(
                "reset",
                made -> {
                    requireHolder(holder);
                    resetInTurn(made);
                });
    }

    /// @throws MdevException ENODEV unless the device is `holder`'s
    @SuppressWarnings("ReferenceEquality") // an assignment is one, whatever it says
    void requireHolder(@Nullable MdevAssignment holder) {
        if (current != holder) {
            throw new MdevException(Errno.ENODEV, "mdev=%s changed hands".formatted(uuid));
        }
    }

    /// Tells the driver of guest memory that goes away. Whatever it throws, the memory goes.
    ///
    /// @param iova first address
    /// @param lengthBytes bytes
    public void dmaUnmapped(long iova, long lengthBytes) {
        var _ = driver.run("dmaUnmapped", made -> made.dmaUnmapped(iova, lengthBytes));
    }

    /// Lets a device go on that was restored while nobody had it: what it was doing needs a guest.
    /// For its new holder, once the device reaches the guest's memory. Does nothing otherwise.
    ///
    /// @throws MdevException what the driver threw
    public void resumeRestored() {
        driver.resumeRestored();
    }

    /// Takes back every mapping; the next access faults.
    public void revokeAll() {
        mappings.zapAll();
    }

    /// Lets the driver put the device into its first state.
    ///
    /// @throws MdevException what the driver threw
    public void resetDriver() {
        driver.orThrow(driver.run("reset", MdevDevice::reset));
    }

    /// Gives the device other pages. Nobody may have the device.
    ///
    /// @param copy copies the content; runs while no other call of the device does, and the device
    ///   does nothing by itself
    /// @return why the device does not go on, if its driver does not let it; it has its new pages
    /// @throws MdevException what the driver threw; the device has its old pages then
    public Optional<MdevException> moveTo(List<PoolShare> target, Runnable copy) {
        Optional<DeviceState> running =
                driver.isStopped() ? Optional.empty() : driver.ask("state", MdevDevice::state);
        running.ifPresent(driver::stop);
        Optional<Refusal> moved;
        Optional<MdevException> stands;
        try {
            moved = driver.run("shareMoved", made -> moveAlone(made, target, copy));
        } finally {
            stands = running.flatMap(driver::tryResume);
        }
        if (moved.isPresent()) {
            MdevException trouble = driver.exceptionFor(moved.get());
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
            driver.requireAlive();
            share = List.copyOf(target);
            made.shareMoved(target);
            moved = true;
        } finally {
            if (!moved) {
                share = old;
            }
        }
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
        return driver.overdueCallback();
    }

    @Override
    public String toString() {
        return "mdev=%s type=%s parent=%s".formatted(uuid, type.id(), parent.name());
    }
}
