package dev.mdev.core.bus;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.Room;
import dev.mdev.core.capacity.DefragPlan;
import dev.mdev.core.capacity.FitReport;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.driver.CallWatchdog;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.ledger.DefinitionStore;
import dev.mdev.core.ledger.Ledger;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.QuarantinedDefinition;
import dev.mdev.core.ledger.Unfinished;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.store.StateFiles;
import dev.mdev.core.sync.LongWork;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;

/// All parents and mediated devices of this host (Linux `drivers/vfio/mdev/mdev_core.c`), and their
/// records.
///
/// Three independent facts describe a device: it is *defined* (written down, so that it survives a
/// restart), *active* (it exists in its parent), *assigned* (it has a holder). It also has an
/// owner. A uuid identifies one device across all parents.
///
/// Any thread may call all methods. If two callers change one device at a time, one gets EAGAIN; a
/// forced removal waits, and takes over from a verb that is stuck in a driver. All throw
/// [MdevException] ESHUTDOWN after [#close]. If a record cannot be written, they throw the state
/// files' error, a [dev.mdev.core.store.StoreException] (EIO, ENOSPC, ...), and change nothing.
public final class MdevBus implements AutoCloseable {
    private final StateFiles files;
    private final BusContext bus;
    private final DeviceCreator starter;
    private final DeviceRemover ender;
    private final ParentScan arrivals;
    private final Adoption adoption;
    private final ParentAdmission admission;
    private final ParentRemoval departures;
    private final DefinitionVerbs definitionVerbs;
    private final Defragmenter roomMaker;
    private final StateTransfer stateTransfer;

    /// A bus without records beyond its own life.
    ///
    /// @param memory the memory of apertures
    /// @param callDeadline the maximum time of a driver's callback
    public MdevBus(HostMemory memory, Duration callDeadline, MdevObserver observer) {
        this(memory, new MemoryFiles(), BusOptions.of(callDeadline, observer));
    }

    /// Opens a bus on the files of an earlier one, and completes or undoes its interrupted verbs.
    /// If nothing can be written, the bus uses what exists, and refuses changes until it can write
    /// again.
    ///
    /// @param memory the memory of apertures
    /// @param files the files of definitions and the journal; the bus closes them
    /// @throws MdevException the files' error; EOPNOTSUPP if a newer version of this program wrote
    ///   them
    public MdevBus(HostMemory memory, StateFiles files, BusOptions options) {
        this.files = files;
        BusObserver observer = new BusObserver(options);
        Ledger ledger =
                Ledger.open(
                        files,
                        trouble ->
                                observer.event(
                                        new MdevEvent.JournalTrouble(
                                                "not written yet: " + trouble)));
        Registry registry = new Registry();
        CallWatchdog watch = new CallWatchdog(options.callDeadline(), observer::overdue);
        bus =
                new BusContext(
                        options,
                        registry,
                        new VerbLocks(registry),
                        ledger,
                        DefinitionStore.load(files, options.maxDefinitions()),
                        observer,
                        watch,
                        new Scrubber(ledger, observer, watch, options.callDeadline()));
        ParentCloser exits = new ParentCloser(bus);
        starter = new DeviceCreator(bus, exits);
        ender = new DeviceRemover(bus, exits);
        arrivals = new ParentScan(bus, exits, starter, ender);
        adoption = new Adoption(bus, exits);
        departures = new ParentRemoval(bus, exits, ender);
        admission = new ParentAdmission(bus, memory, arrivals, departures);
        definitionVerbs = new DefinitionVerbs(bus);
        roomMaker = new Defragmenter(bus);
        stateTransfer = new StateTransfer(bus);
        new Recovery(bus).resolveAll();
        bus.watch().start();
    }

    /// The parts.
    public BusContext context() {
        return bus;
    }

    // Parents.

    /// Lets a driver find its devices and puts them on the bus. Before this returns, dirty pages
    /// are scrubbed, and devices with autostart are started.
    ///
    /// @param settings the operator's settings for this driver
    /// @return the new parents
    /// @throws MdevException the driver's error, EEXIST if a parent of that name exists, EINVAL if
    ///   the driver's description is invalid; the parents that the driver found are then closed
    public List<Parent> addDriver(ParentDriver driver, Map<String, String> settings) {
        return addDriver(driver, settings, _ -> {});
    }

    /// As above. Also passes on what the driver says of devices that it leaves out.
    ///
    /// @param reports receives the texts of [dev.mdev.api.ParentHost#report], cut to a bounded size
    public List<Parent> addDriver(
            ParentDriver driver, Map<String, String> settings, Consumer<String> reports) {
        return admission.addDriver(driver, settings, reports);
    }

    /// Removes a parent: ends its devices, by force after `grace`, and closes it. Definitions stay.
    /// Takes at most `grace`, a few deadlines, and the time of scrubbing.
    ///
    /// @throws MdevException ENODEV if there is none, EAGAIN if it is arriving, ETIMEDOUT if a
    ///   device or the parent does not end: it leaves with its last device
    public void removeParent(String name, Duration grace) {
        Parent parent = settledParent(name);
        LongWork.current().noReturn("parent=%s is leaving".formatted(name));
        departures.leave(List.of(parent), Removal.forcing(grace));
    }

    /// Removes a parent without devices in use.
    ///
    /// @throws MdevException EBUSY with the holder if there is one: nothing changes then; otherwise
    ///   as [#removeParent]
    public void removeUnusedParent(String name) {
        Parent parent = settledParent(name);
        departures.requireUnusedOutside(parent);
        LongWork.current().noReturn("parent=%s is leaving".formatted(name));
        bus.registry().leaveIfUnused(parent);
        departures.leave(List.of(parent), Removal.forcing(Duration.ZERO));
    }

    private Parent settledParent(String name) {
        Parent parent = parent(name);
        if (parent.presence() == Parent.Presence.ARRIVING) {
            throw new MdevException(Errno.EAGAIN, "parent=%s is arriving".formatted(name));
        }
        return parent;
    }

    /// Looks for devices that other programs created or ended on a parent. A parent whose physical
    /// device is gone leaves.
    ///
    /// @throws MdevException ENODEV if there is no such parent; its driver's error
    public void rescan(String parentName) {
        admission.rescan(parent(parentName));
    }

    /// Lets a driver look again: for devices of its parents, and for parents that came, or left the
    /// bus before.
    ///
    /// @return the new parents
    /// @throws MdevException ENODEV if the bus was never given a driver of this name; EAGAIN if
    ///   another search of it does not end within a deadline; otherwise as [#addDriver]
    public List<Parent> rescanDriver(String driverName) {
        return admission.rescanDriver(driverName);
    }

    /// Lets a driver look for one parent, which came, or left the bus before. Its others stay as
    /// they are.
    ///
    /// @throws MdevException ENODEV if there is no such driver, or it does not find the parent;
    ///   EEXIST if the parent is there; otherwise as [#rescanDriver]
    public Parent findParent(String driverName, String parentName) {
        return admission.findParent(driverName, parentName);
    }

    /// Scrubs a parent's quarantined pages again, and frees the good ones.
    ///
    /// @throws MdevException ENODEV if there is no such parent
    public void repair(String parentName) {
        arrivals.repair(parent(parentName));
    }

    /// All parents, including those that are arriving or leaving.
    public List<Parent> parents() {
        return bus.registry().parents();
    }

    /// A parent by its name.
    ///
    /// @throws MdevException ENODEV if there is none
    public Parent parent(String name) {
        return bus.parent(name);
    }

    // Devices.

    /// All devices that are assigned or can be, oldest first.
    public List<Mdev> mdevs() {
        return bus.registry().entries().stream()
                .filter(MdevBus::isUsable)
                .map(Registry.Entry::required)
                .toList();
    }

    private static boolean isUsable(Registry.Entry entry) {
        return entry.activity() == Activity.ACTIVE && entry.mdev() != null;
    }

    /// A device that is assigned or can be, by its uuid.
    public Optional<Mdev> find(UUID uuid) {
        return bus.registry().find(uuid).filter(MdevBus::isUsable).map(Registry.Entry::required);
    }

    /// All known devices: existing ones of any owner, then those that are only defined.
    public List<MdevStatus> statuses() {
        return Statuses.all(bus);
    }

    /// The facts about a device; nothing if it is unknown.
    public Optional<MdevStatus> status(UUID uuid) {
        return Statuses.find(bus, uuid);
    }

    /// Creates a device without a definition.
    ///
    /// @throws MdevException ENODEV or ENOENT if there is no such parent or type; EEXIST if the
    ///   uuid is in use, on any parent or by a definition; EUSERS if it does not fit; ETIMEDOUT
    ///   with the devices that gave nothing up, if it needs pages of others; otherwise the driver's
    ///   error. Nothing remains, unless the driver does not let go of what it created: it is lost
    ///   then
    public Mdev create(UUID uuid, String parentName, String typeId) {
        return create(uuid, parentName, typeId, List.of());
    }

    /// The same, with settings.
    ///
    /// @throws MdevException EINVAL if the parent takes no such attribute; otherwise as
    ///   [#create(UUID, String, String)]
    public Mdev create(UUID uuid, String parentName, String typeId, List<Attribute> attributes) {
        return starter.createTransient(uuid, parentName, typeId, attributes);
    }

    /// Writes a definition and starts its device: both, or neither.
    ///
    /// @throws MdevException as [#create(UUID, String, String)]
    public Mdev create(MdevDefinition definition) {
        return starter.createDefined(definition);
    }

    /// Refuses what [#create] would refuse now, as far as the host knows that without the driver.
    /// Changes nothing.
    ///
    /// @throws MdevException as [#create(UUID, String, String)]
    public void checkCreate(
            UUID uuid, String parentName, String typeId, List<Attribute> attributes) {
        starter.checkCreate(uuid, parentName, typeId, attributes, this::explain);
    }

    /// Refuses what [#start] would refuse now, as far as the host knows that without the driver.
    /// Changes nothing.
    ///
    /// @throws MdevException as [#start]
    public void checkStart(UUID uuid) {
        starter.checkStart(uuid, this::explain);
    }

    /// Starts a defined device.
    ///
    /// @throws MdevException ENOENT if it is not defined, EEXIST if it is active; otherwise as
    ///   [#create(UUID, String, String)]
    public Mdev start(UUID uuid) {
        return starter.start(uuid);
    }

    /// Ends a device; its definition stays.
    ///
    /// @return its holder, and its driver's error at the close; the device is gone in any case
    /// @throws MdevException ENODEV if it is not active; EPERM if it is foreign; EBUSY with the
    ///   holder if it is assigned, or if it is lost; EAGAIN if another verb runs on it, unless that
    ///   is taken over; ETIMEDOUT if its driver does not let go: it is lost then, and keeps its
    ///   pages until the driver does
    public RemovalReport stop(UUID uuid, Removal how) {
        return ender.stop(uuid, how);
    }

    /// Ends an idle device, scrubs its pages, and deletes its definition.
    ///
    /// @return its holder, and its driver's error at the close; the device is gone in any case
    /// @throws MdevException as [#remove(UUID, Removal)]
    public RemovalReport remove(UUID uuid) {
        return remove(uuid, Removal.IF_UNUSED);
    }

    /// Ends a device and deletes its definition; one of the two may be absent.
    ///
    /// @return its holder, and its driver's error at the close; the device is gone in any case
    /// @throws MdevException ENODEV if there is neither; otherwise as [#stop]
    public RemovalReport remove(UUID uuid, Removal how) {
        return ender.remove(uuid, how);
    }

    /// Resets a device for its operator, unless another verb runs on it.
    ///
    /// @throws MdevException ENODEV if it is not active, or has ended in the meantime; EAGAIN if it
    ///   is being saved, restored, moved or ended; otherwise the driver's error
    public void reset(UUID uuid) {
        try (VerbLocks.Claim claim = bus.claims().claimYielding(uuid, "reset", Errno.EAGAIN)) {
            find(uuid).orElseThrow(() -> new MdevException(Errno.ENODEV, "mdev=" + uuid)).reset();
            claim.requireNotLost();
        }
    }

    /// Adopts a device that another program created, as it is.
    ///
    /// @throws MdevException ENODEV if there is none, EPERM if it is not foreign; otherwise the
    ///   driver's error, and it is still foreign
    public Mdev adopt(UUID uuid) {
        return adoption.adopt(uuid);
    }

    // Definitions.

    /// The definitions, by uuid.
    public List<MdevDefinition> definitions() {
        return bus.definitions().all();
    }

    /// The damaged definition files.
    public List<QuarantinedDefinition> quarantined() {
        return bus.definitions().quarantined();
    }

    /// Deletes a damaged definition file.
    ///
    /// @param file its name in [#quarantined]
    /// @throws MdevException ENOENT if there is no such file
    public void discardQuarantined(String file) {
        bus.definitions().discard(file);
    }

    /// Writes a definition. Its parent may be absent; a present parent must have the type.
    ///
    /// @throws MdevException EEXIST if the uuid is defined, or a different device has it; ENOENT if
    ///   the parent has no such type
    public void define(MdevDefinition definition) {
        definitionVerbs.define(definition);
    }

    /// Refuses what [#define], or [#redefine] of what is defined, would refuse now. Changes
    /// nothing.
    ///
    /// @throws MdevException as they do
    public void checkDefine(MdevDefinition definition) {
        definitionVerbs.check(definition);
    }

    /// Deletes a definition. An active device stays, as a transient device.
    ///
    /// @throws MdevException ENOENT if it is not defined
    public void undefine(UUID uuid) {
        definitionVerbs.undefine(uuid);
    }

    /// Writes a definition for an active device.
    ///
    /// @throws MdevException ENODEV if it is not active, EEXIST if it is defined, EPERM if it is
    ///   foreign
    public MdevDefinition promote(UUID uuid, boolean autostart) {
        return definitionVerbs.promote(uuid, autostart);
    }

    /// Changes a definition: whether its device starts with its parent, and its attributes. An
    /// active device stays as it is.
    ///
    /// @throws MdevException ENOENT if it is not defined; EEXIST if it has another parent or type;
    ///   EINVAL if the parent takes no such attribute
    public void redefine(MdevDefinition definition) {
        definitionVerbs.redefine(definition);
    }

    // Capacity.

    /// How many more devices of the type could be created now.
    public int available(Parent parent, MdevType type) {
        Optional<Room> room = parent.room(type);
        if (room.isPresent()) {
            return room.get().devices();
        }
        int limit = type.maxInstances() - bus.registry().instances(parent, type);
        return limit <= 0 ? 0 : parent.capacity().available(type, limit);
    }

    /// Whether one more device of a type fits; if not, why, what is in the way, and which moves
    /// would make room. May ask drivers whether they move devices.
    ///
    /// @throws MdevException ENODEV or ENOENT if there is no such parent or type
    public FitReport explain(String parentName, String typeId) {
        Parent parent = parent(parentName);
        return roomMaker.explain(parent, parent.type(typeId));
    }

    /// Makes the moves of a plan, one after the other; each is atomic.
    ///
    /// @throws MdevException ESTALE if a device or its target no longer matches the plan, EBUSY if
    ///   the device has a holder, EINVAL if a move violates the demand of the device's type;
    ///   otherwise the driver's error. Completed moves stay
    public void defragment(DefragPlan plan) {
        roomMaker.apply(plan);
    }

    // State.

    /// Writes the state of a device: its registers, as its driver saves them, and its pages. The
    /// device must be idle, or its holder must pause the guest.
    ///
    /// @param out stays open
    /// @return bytes written
    /// @throws IOException if the stream fails
    /// @throws MdevException ENODEV if it is not active, EBUSY if its holder does not pause,
    ///   EOPNOTSUPP if its driver saves no devices; otherwise the driver's error
    public long save(UUID uuid, OutputStream out) throws IOException {
        return stateTransfer.save(uuid, out);
    }

    /// Stops a device that is to be saved with others: each continues when it is closed, and the
    /// states belong together.
    ///
    /// @throws MdevException as [#save]
    public StoppedDevice stopForSave(UUID uuid) {
        return stateTransfer.stop(uuid);
    }

    /// Checks that a device can be saved at all.
    ///
    /// @throws MdevException EOPNOTSUPP if its driver saves no devices
    public void requireSavable(Mdev mdev) {
        stateTransfer.requireSavable(mdev);
    }

    /// Restores into a device the saved state of a device of the same type, from this host or
    /// another. The device must be idle, or its holder must pause the guest. On a failure after a
    /// matching header, the device is reset and its pages are zero.
    ///
    /// @param in is read up to the end of the state, and stays open
    /// @throws IOException if the stream fails
    /// @throws MdevException ENODEV if the device is not active, EBUSY if its holder does not
    ///   pause, EINVAL if the state is of another type, EPROTO if it is malformed or truncated,
    ///   EFBIG if it is too large, EOPNOTSUPP if it is of an unknown version or the driver restores
    ///   no devices; otherwise the driver's error
    public void restore(UUID uuid, InputStream in) throws IOException {
        stateTransfer.restore(uuid, in);
    }

    // Events.

    /// The condition of the files when the bus was opened. Recovery has completed or undone the
    /// interrupted verbs.
    public Ledger.Opening opening() {
        return bus.ledger().opening();
    }

    /// The running verbs, and verbs whose end could not be written: the next opening of the bus
    /// ends those.
    public List<Unfinished> unfinished() {
        return bus.ledger().unfinished();
    }

    /// Why the last write of the journal failed, if it failed: the bus refuses changes until a
    /// write succeeds.
    public Optional<String> journalFailure() {
        return bus.ledger().failure();
    }

    /// The callbacks of drivers that exceed their deadline: of devices in any state, of parents,
    /// and of drivers that look for their devices.
    public List<CallReport> overdueCalls() {
        return bus.watch().overdue();
    }

    /// Ends everything on the bus: devices, then parents. Definitions stay, and so do devices in
    /// the kernel. Closing again does nothing.
    ///
    /// @throws MdevException EBUSY if a device is assigned: nothing is ended then; ETIMEDOUT if a
    ///   driver does not let go: call again later
    @Override
    public void close() {
        bus.registry().beginClosing();
        List<Parent> left = parents();
        if (!left.isEmpty()) {
            departures.leaveBehind(left);
        }
        admission.closeDrivers();
        bus.watch().close();
        files.close();
    }
}
