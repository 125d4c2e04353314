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
import dev.mdev.api.ReportLevel;
import dev.mdev.api.Reporter;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.driver.ThrottledReporter;
import dev.mdev.core.elastic.DeviceMemory;
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
import java.util.function.Consumer;

/// One mediated device: its identity, its mapped pages, and its history.
///
/// Any thread may call all methods.
public final class Mdev {
    /// The maximum number of a driver's counters for a device.
    public static final int MAX_COUNTERS = 256;

    private final UUID uuid;
    private final Parent parent;
    private final MdevType type;
    private volatile List<PoolShare> share;

    /// Set once, before a guest or an operator can see the device.
    private volatile List<DeviceMemory> elastic = List.of();

    private final Instant created = Instant.now();
    private final DriverObject driver;
    private final FaultLog faults = new FaultLog();
    private final RegionReverseMap mappings = new RegionReverseMap();
    private final MdevListener listener;
    private final Reporter reports;

    private final AssignedGuest guest = new AssignedGuest();

    private final Assignment assignment;

    private final UnmappedCalls unmapped;
    private final Handover handover;

    public Mdev(
            UUID uuid, Parent parent, MdevType type, List<PoolShare> share, MdevListener listener) {
        this.uuid = uuid;
        this.parent = parent;
        this.type = type;
        this.share = share;
        this.listener = listener;
        this.reports = new ThrottledReporter((level, line) -> listener.reported(this, level, line));
        this.assignment = new Assignment(uuid);
        this.driver =
                new DriverObject(
                        uuid,
                        new DriverCalls(
                                "mdev=" + uuid,
                                parent.callDeadline(),
                                (owner, callback, nanos) -> listener.called(this, callback, nanos)),
                        failure -> report(ReportLevel.WARNING, failure));
        this.unmapped = new UnmappedCalls(driver, mappings);
        this.handover = new Handover(this, assignment, unmapped, listener);
    }

    /// The driver's object for it.
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

    /// The pages that belong to the device by fixed demands. They change only while it is idle.
    public List<PoolShare> share() {
        return share;
    }

    /// The elastic shares of the device, in the order of its type's demands.
    public List<DeviceMemory> elastic() {
        return elastic;
    }

    /// Takes its elastic shares.
    public void bindElastic(List<DeviceMemory> shares) {
        elastic = List.copyOf(shares);
    }

    /// Pages that the device keeps from others.
    public long heldPages() {
        return share.stream().mapToLong(PoolShare::npages).sum()
                + elastic.stream().mapToLong(one -> one.usage().heldPages()).sum();
    }

    public Instant created() {
        return created;
    }

    /// The regions that the driver serves.
    public List<RegionInfo> regions() {
        return profile().regions();
    }

    /// The larger number of its MSI and MSI-X vectors.
    public int vectors() {
        return Math.max(profile().irqs().msiVectors(), profile().irqs().msixVectors());
    }

    PciProfile profile() {
        return driver.profile();
    }

    /// The guest's memory as the driver reaches it, in this and later assignments.
    public GuestMemory guestMemory() {
        return guest;
    }

    /// The device's interrupts as the driver raises them, in this and later assignments.
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

    /// The device's holder, if any.
    public Optional<String> holder() {
        return assignment.holder().map(DeviceHolder::name);
    }

    /// Assigns the device to a machine that cannot be asked to release it.
    ///
    /// @param who the machine's name, for messages
    /// @throws MdevException as [#assign(DeviceHolder)]
    public MdevAssignment assign(String who) {
        return assign(DeviceHolder.named(who));
    }

    /// Assigns the device to a machine.
    ///
    /// @return the assignment, until the machine closes it
    /// @throws MdevException EBUSY if it has a holder, or the host works on it, ENODEV if it is
    ///   being removed or its parent is leaving, EIO if its last reset failed; the driver's error
    ///   if it does not take the holder
    public MdevAssignment assign(DeviceHolder who) {
        return handover.assign(who);
    }

    /// Records that the device was created and used before this process had it.
    public void markTakenOver() {
        assignment.markTakenOver();
    }

    /// Connects the driver to the guest of the device's holder.
    ///
    /// @throws MdevException ENODEV if the device has ended
    void connect(GuestPort port) {
        guest.connect(port);
        // A removal ends the driver first and cuts the guest off then: it does, or this sees its
        // end.
        if (driver.hasEnded()) {
            guest.connect(null);
            driver.requireAlive();
        }
    }

    /// Takes the device back: see [MdevAssignment#close].
    void takeBack() {
        guest.connect(null);
        handover.takeBack();
    }

    /// The holder, and whether assignments are allowed.
    public Assignment assignment() {
        return assignment;
    }

    /// Takes the device from its holder permanently: when this returns, no guest access reaches its
    /// pages, it reaches no guest, and its driver is called only to close it. The guest's reserved
    /// addresses stay reserved until its machine detaches the device.
    public void revokeForGood() {
        driver.end();
        elastic.forEach(DeviceMemory::retire);
        guest.connect(null);
        mappings.zapAll();
    }

    /// Asks the holder to release the device.
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

    /// Tells the operator of a trouble: see [Reporter#report].
    public void report(ReportLevel level, String text) {
        reports.report(level, text);
    }

    void faulted(FaultRecord fault) {
        faults.add(fault);
        listener.faulted(this, fault);
    }

    /// The device's output as a display, whether it is assigned or idle.
    ///
    /// @throws MdevException the driver's error, ETIMEDOUT if it is busy for too long
    public Scanout scanout() {
        return driver.scanout();
    }

    /// The driver's counters of the device, by name.
    ///
    /// @throws MdevException the driver's error, ETIMEDOUT if it is busy for too long, E2BIG if
    ///   there are more than [#MAX_COUNTERS]
    public SortedMap<String, Long> counters() {
        return driver.counters();
    }

    /// Revokes mappings of a region: see [MdevContext#revoke].
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

    /// Resets the function: its configuration space gets its initial values, so that no BAR is
    /// decoded and no message enabled, every mapping is revoked, and the driver resets the device.
    /// Its pins stay.
    ///
    /// @throws MdevException ENODEV if the device has ended, otherwise the driver's error
    public void reset() {
        driver.orThrow(reset(handover.current()));
    }

    /// Lets the holder's machine set the device up again after a [#reset], as firmware does: BARs
    /// keep their addresses. Does nothing if the device is idle, or its machine leaves firmware to
    /// the guest.
    public void runFirmware() {
        GuestPort port = guest.port();
        if (port != null) {
            port.runFirmware();
        }
    }

    /// The same, for an assignment.
    ///
    /// @param holder the assignment to reset; null if the device was idle
    /// @return the driver's error, if it failed; ENODEV if the device changed hands in the meantime
    Optional<Refusal> reset(@Nullable MdevAssignment holder) {
        GuestPort port = guest.port();
        if (port != null) {
            port.reset();
        }
        return handover.reset(holder);
    }

    void wasResetByGuest() {
        listener.resetByGuest(this);
    }

    /// @throws MdevException ENODEV unless `holder` has the device
    void requireHolder(@Nullable MdevAssignment holder) {
        handover.requireHolder(holder);
    }

    /// Notifies the driver of guest memory that is removed next, even if the driver throws.
    ///
    /// @param iova first address
    /// @param lengthBytes bytes
    public void dmaUnmapped(long iova, long lengthBytes) {
        driver.runStill("dmaUnmapped", made -> made.dmaUnmapped(iova, lengthBytes))
                .ifPresent(failure -> driver.tell(failure.reason()));
    }

    /// Tells the driver of a store of the guest to memory that the device watches.
    public void guestWrote(long iova, int widthBytes, long value) {
        driver.run("guestWrote", made -> made.guestWrote(iova, widthBytes, value))
                .ifPresent(failure -> driver.tell(failure.reason()));
    }

    /// Resumes a device that was restored while idle: its work needs a guest. For its new holder,
    /// once the device reaches the guest's memory. Otherwise does nothing.
    ///
    /// @throws MdevException the driver's error
    public void resumeRestored() {
        driver.resumeRestored();
    }

    /// Revokes every mapping; the next access faults.
    public void revokeAll() {
        mappings.zapAll();
    }

    /// Lets the host clear the device's pages before each reset, outside of the driver's deadline.
    public void clearBeforeReset(Runnable work) {
        unmapped.clearBeforeReset(work);
    }

    /// Lets the driver reset the device.
    ///
    /// @throws MdevException the driver's error
    public void resetDriver() {
        driver.orThrow(unmapped.reset(() -> {}, () -> {}));
    }

    /// Runs a callback that changes the meaning of the device's grants: while the device stands
    /// still and nothing is mapped. No earlier grant survives it.
    ///
    /// @throws MdevException ENODEV if the device has ended, otherwise the driver's error
    public void changeUnmapped(String callback, Consumer<MdevDevice> change) {
        driver.orThrow(unmapped.run(callback, change));
    }

    /// Gives the device other pages. The device must be idle.
    ///
    /// @param copy copies the content; runs while no other call of the device does, and the device
    ///   does nothing by itself
    /// @return why the driver could not resume the device, if it failed; the device has its new
    ///   pages
    /// @throws MdevException the driver's error; the device has its old pages then
    public Optional<MdevException> moveTo(List<PoolShare> target, Runnable copy) {
        Optional<DeviceState> running =
                driver.isStopped() ? Optional.empty() : driver.ask("state", MdevDevice::state);
        running.ifPresent(driver::stop);
        Optional<Refusal> moved;
        Optional<MdevException> stands;
        try {
            moved = unmapped.run("shareMoved", made -> moveInTurn(made, target, copy));
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

    private void moveInTurn(MdevDevice made, List<PoolShare> target, Runnable copy) {
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

    /// Faults so far, without those of mapping ahead.
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

    /// Pages of `[firstPage, endPage)` of the region that are mapped now.
    public long residentPages(int region, long firstPage, long endPage) {
        return mappings.residentPages(region, firstPage, endPage);
    }

    /// Pages of all regions that are mapped now.
    public long residentPages() {
        return regions().stream().mapToLong(region -> residentPages(region.index())).sum();
    }

    /// The callback that exceeds its deadline, if any, with its duration.
    public Optional<String> overdueCallback() {
        return driver.overdueCallback();
    }

    @Override
    public String toString() {
        return "mdev=%s type=%s parent=%s".formatted(uuid, type.id(), parent.name());
    }
}
