package dev.mdev.core.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDriver;
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

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;

/// All parents and mediated devices of this host (Linux `drivers/vfio/mdev/mdev_core.c`), and what
/// of them is written down.
///
/// Of each device three things are true or not, independently: it is *defined* (written down, so
/// that it survives a restart), *active* (it exists in its parent), *assigned* (somebody has it).
/// And it has an owner. A uuid means one device over all parents.
///
/// All methods may be called by any thread. Of two that change one device at a time, one gets
/// EAGAIN; a removal by force waits, and takes over from what is stuck in a driver. All throw
/// [MdevException] ESHUTDOWN after [#close], and what the state files say, a
/// [dev.mdev.core.store.StoreException] (EIO, ENOSPC, ...), if something cannot be written down;
/// nothing was changed then.
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

    /// A bus that remembers nothing beyond its own life.
    ///
    /// @param memory where apertures come from
    /// @param callDeadline how long a callback of a driver may take
    public MdevBus(HostMemory memory, Duration callDeadline, MdevObserver observer) {
        this(memory, new MemoryFiles(), BusOptions.of(callDeadline, observer));
    }

    /// Opens a bus on what an earlier one left, and brings what that one was in the middle of to an
    /// end. If nothing can be written, what is there is used as it is, and nothing is changed until
    /// something can be written again.
    ///
    /// @param memory where apertures come from
    /// @param files where definitions and the journal are; the bus closes them
    /// @throws MdevException what the files say; EOPNOTSUPP if a newer version of this program
    ///   wrote them
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
        ParentExits exits = new ParentExits(bus);
        starter = new DeviceCreator(bus, exits);
        ender = new DeviceRemover(bus, exits);
        arrivals = new ParentScan(bus, exits, starter);
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

    /// Lets a driver find its devices and puts them on the bus. Pages that may hold somebody's
    /// bytes are scrubbed, and devices that are to start with their parent are started, before this
    /// returns.
    ///
    /// @param settings what the operator set for this driver
    /// @return the new parents
    /// @throws MdevException what the driver threw, EEXIST if a parent of that name is there,
    ///   EINVAL if what the driver says makes no sense; what the driver found is closed then
    public List<Parent> addDriver(ParentDriver driver, Map<String, String> settings) {
        return admission.addDriver(driver, settings);
    }

    /// Takes a parent off the bus: ends its devices, by force once `grace` is over, and closes it.
    /// Definitions stay. Takes no longer than `grace` and a few deadlines, and the time that
    /// scrubbing takes.
    ///
    /// @throws MdevException ENODEV if there is none, EAGAIN if it is arriving, ETIMEDOUT if a
    ///   device or the parent does not end: it goes when the last of them does
    public void removeParent(String name, Duration grace) {
        departures.leave(List.of(settledParent(name)), Removal.forcing(grace));
    }

    /// Takes a parent off the bus of which nobody has a device.
    ///
    /// @throws MdevException EBUSY if somebody has, saying who: nothing changes then; else as
    ///   [#removeParent]
    public void removeUnusedParent(String name) {
        Parent parent = settledParent(name);
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

    /// Looks again which devices somebody else made or ended on a parent.
    ///
    /// @throws MdevException ENODEV if there is no such parent; what its driver threw
    public void rescan(String parentName) {
        arrivals.rescan(parent(parentName));
    }

    /// Scrubs a parent's quarantined pages again. Those that can be scrubbed now are free.
    ///
    /// @throws MdevException ENODEV if there is no such parent
    public void repair(String parentName) {
        arrivals.repair(parent(parentName));
    }

    /// The parents, those that are arriving or leaving included.
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

    /// All devices that can be assigned or are, oldest first.
    public List<Mdev> mdevs() {
        return bus.registry().entries().stream()
                .filter(MdevBus::isUsable)
                .map(Registry.Entry::required)
                .toList();
    }

    private static boolean isUsable(Registry.Entry entry) {
        return entry.activity() == Activity.ACTIVE && entry.mdev() != null;
    }

    /// A device that can be assigned or is, by its uuid.
    public Optional<Mdev> find(UUID uuid) {
        return bus.registry().find(uuid).filter(MdevBus::isUsable).map(Registry.Entry::required);
    }

    /// All devices of which anything is known: those that exist, whosever they are, then those that
    /// are only defined.
    public List<MdevStatus> statuses() {
        List<MdevStatus> all = new ArrayList<>();
        Set<UUID> seen = new TreeSet<>();
        for (Registry.Entry entry : bus.registry().entries()) {
            seen.add(entry.uuid());
            all.add(Statuses.of(entry, bus.definitions().find(entry.uuid())));
        }
        for (MdevDefinition definition : bus.definitions().all()) {
            if (seen.add(definition.uuid())) {
                all.add(Statuses.of(definition));
            }
        }
        return all;
    }

    /// What is true of a device; nothing if nothing is known of it.
    public Optional<MdevStatus> status(UUID uuid) {
        Optional<MdevDefinition> definition = bus.definitions().find(uuid);
        return bus.registry()
                .find(uuid)
                .map(entry -> Statuses.of(entry, definition))
                .or(() -> definition.map(Statuses::of));
    }

    /// Creates a device that is not written down.
    ///
    /// @throws MdevException ENODEV or ENOENT if parent or type are not there; EEXIST if the uuid
    ///   is taken, on whatever parent, by a definition too; EUSERS if it does not fit; else what
    ///   the driver threw. Nothing is left behind, unless the driver does not let go of what it
    ///   made: it is lost then
    public Mdev create(UUID uuid, String parentName, String typeId) {
        return starter.createTransient(uuid, parentName, typeId);
    }

    /// Writes a definition and starts its device: both, or neither.
    ///
    /// @throws MdevException as [#create(UUID, String, String)]
    public Mdev create(MdevDefinition definition) {
        return starter.createDefined(definition);
    }

    /// Starts a device that is defined.
    ///
    /// @throws MdevException ENOENT if it is not defined, EEXIST if it is active; else as
    ///   [#create(UUID, String, String)]
    public Mdev start(UUID uuid) {
        return starter.start(uuid);
    }

    /// Ends a device; what is defined stays.
    ///
    /// @return who had it, and what its driver said when it was closed; the device is gone all the
    ///   same
    /// @throws MdevException ENODEV if it is not active; EPERM if it is somebody else's; EBUSY if
    ///   it is assigned, saying to whom, or lost; EAGAIN if something else is done to it, unless
    ///   that is taken over; ETIMEDOUT if its driver does not let go: it is lost then, and keeps
    ///   its pages until the driver does
    public RemovalReport stop(UUID uuid, Removal how) {
        return ender.stop(uuid, how);
    }

    /// Ends a device that nobody has, and scrubs its pages; a definition of it is deleted.
    ///
    /// @return who had it, and what its driver said when it was closed; the device is gone all the
    ///   same
    /// @throws MdevException as [#remove(UUID, Removal)]
    public RemovalReport remove(UUID uuid) {
        return remove(uuid, Removal.IF_UNUSED);
    }

    /// Ends a device and deletes its definition, or whatever of the two there is.
    ///
    /// @return who had it, and what its driver said when it was closed; the device is gone all the
    ///   same
    /// @throws MdevException ENODEV if there is neither; else as [#stop]
    public RemovalReport remove(UUID uuid, Removal how) {
        return ender.remove(uuid, how);
    }

    /// Resets a device for its operator: not while something else is done to it.
    ///
    /// @throws MdevException ENODEV if it is not active, or was ended meanwhile; EAGAIN if it is
    ///   being saved, restored, moved or ended; else what the driver threw
    public void reset(UUID uuid) {
        try (VerbLocks.Claim claim = bus.claims().claimYielding(uuid, "reset", Errno.EAGAIN)) {
            find(uuid).orElseThrow(() -> new MdevException(Errno.ENODEV, "mdev=" + uuid)).reset();
            claim.requireNotLost();
        }
    }

    /// Takes over a device that somebody else made, as it is.
    ///
    /// @throws MdevException ENODEV if there is none, EPERM if it is not foreign; else what the
    ///   driver threw, and it is foreign still
    public Mdev adopt(UUID uuid) {
        return adoption.adopt(uuid);
    }

    // Definitions.

    /// What is defined, by uuid.
    public List<MdevDefinition> definitions() {
        return bus.definitions().all();
    }

    /// The files that should be definitions and are not.
    public List<QuarantinedDefinition> quarantined() {
        return bus.definitions().quarantined();
    }

    /// Deletes a file that should be a definition and is not.
    ///
    /// @param file as [#quarantined] names it
    /// @throws MdevException ENOENT if there is none of that name
    public void discardQuarantined(String file) {
        bus.definitions().discard(file);
    }

    /// Writes a definition down. Its parent need not be there; if it is, it must have the type.
    ///
    /// @throws MdevException EEXIST if the uuid is defined, or a device has it that is another;
    ///   ENOENT if the parent has no such type
    public void define(MdevDefinition definition) {
        definitionVerbs.define(definition);
    }

    /// Deletes a definition. A device that is active stays, and is gone with its end.
    ///
    /// @throws MdevException ENOENT if it is not defined
    public void undefine(UUID uuid) {
        definitionVerbs.undefine(uuid);
    }

    /// Writes down a device that is active, as it is.
    ///
    /// @throws MdevException ENODEV if it is not active, EEXIST if it is defined, EPERM if it is
    ///   somebody else's
    public MdevDefinition promote(UUID uuid, boolean autostart) {
        return definitionVerbs.promote(uuid, autostart);
    }

    /// Changes whether a device is started with its parent.
    ///
    /// @throws MdevException ENOENT if it is not defined
    public MdevDefinition setAutostart(UUID uuid, boolean autostart) {
        return definitionVerbs.setAutostart(uuid, autostart);
    }

    // Capacity.

    /// How many more devices of the type could be created now.
    public int available(Parent parent, MdevType type) {
        int limit = type.maxInstances() - bus.registry().instances(parent, type);
        return limit <= 0 ? 0 : parent.capacity().available(type, limit);
    }

    /// Whether one more device of a type fits; if not, why, who is in the way, and which moves
    /// would make room. May ask drivers whether they move devices.
    ///
    /// @throws MdevException ENODEV or ENOENT if parent or type are not there
    public FitReport explain(String parentName, String typeId) {
        Parent parent = parent(parentName);
        return roomMaker.explain(parent, parent.type(typeId));
    }

    /// Makes the moves of a plan, one after the other; each is made as a whole or not at all.
    ///
    /// @throws MdevException ESTALE if a device or its target is not as planned any more, EBUSY if
    ///   somebody has the device, EINVAL if a move is not what the device's type demands; else what
    ///   the driver threw. Moves that were made before stay made
    public void defragment(DefragPlan plan) {
        roomMaker.apply(plan);
    }

    // State.

    /// Writes the state of a device: its registers, as its driver saves them, and its pages. Nobody
    /// has the device, or its holder stops the guest meanwhile.
    ///
    /// @param out stays open
    /// @return bytes written
    /// @throws IOException if the stream fails
    /// @throws MdevException ENODEV if it is not active, EBUSY if its holder does not stop,
    ///   EOPNOTSUPP if its driver saves no devices; else what the driver threw
    public long save(UUID uuid, OutputStream out) throws IOException {
        return stateTransfer.save(uuid, out);
    }

    /// Sets a device to a state that was saved of one of the same type, on this host or another.
    /// Nobody has the device, or its holder stops the guest meanwhile. If it fails after the header
    /// was found fitting, the device is reset and its pages are zero.
    ///
    /// @param in is read up to the end of the state, and stays open
    /// @throws IOException if the stream fails
    /// @throws MdevException ENODEV if the device is not active, EBUSY if its holder does not stop,
    ///   EINVAL if the state is of another type, EPROTO if it is malformed or truncated, EFBIG if
    ///   it is too large, EOPNOTSUPP if it is of an unknown version or the driver restores no
    ///   devices; else what the driver threw
    public void restore(UUID uuid, InputStream in) throws IOException {
        stateTransfer.restore(uuid, in);
    }

    // Events.

    /// What of its files a bus found when it was opened. The verbs that a crash had interrupted are
    /// not unfinished any more.
    public Ledger.Opening opening() {
        return bus.ledger().opening();
    }

    /// The verbs that are under way, or whose end the files did not take: those end when the bus is
    /// opened again.
    public List<Unfinished> unfinished() {
        return bus.ledger().unfinished();
    }

    /// What keeps the journal from being written, if something did when it was last tried: verbs
    /// that change something are refused until it can be.
    public Optional<String> journalFailure() {
        return bus.ledger().failure();
    }

    /// The callbacks of drivers that have been running for longer than they may: of devices,
    /// whatever becomes of them just now, of parents, and of drivers that look for theirs.
    public List<CallReport> overdueCalls() {
        return bus.watch().overdue();
    }

    /// The events that are kept and came after number `sequence`, oldest first: all after it if the
    /// first has the next number, else some were dropped.
    public List<MdevEvent> eventsAfter(long sequence) {
        return bus.observer().events().after(sequence);
    }

    /// Ends what is on the bus: devices, then parents. What is defined stays defined. Closing again
    /// does nothing.
    ///
    /// @throws MdevException EBUSY if a device is assigned: nothing is ended then; ETIMEDOUT if a
    ///   driver does not let go of something: call again later
    @Override
    public void close() {
        bus.registry().beginClosing();
        List<Parent> left = parents();
        if (!left.isEmpty()) {
            departures.leave(left, Removal.forcing(Duration.ZERO));
        }
        bus.watch().close();
        files.close();
    }
}
