package dev.mdev.core.bus;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.Refusal;
import dev.mdev.core.capacity.FitReport;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.driver.DriverException;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.Verb;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BiFunction;

/// Creates devices.
///
/// ```
/// reserve the uuid and pages                    in memory
/// begin, and mark the pages dirty               durable; from here on a crash ends old
/// write the definition, if it is to be defined  durable
/// ParentDevice.create, MdevDevice.regions
/// commit                                        durable; from here on a crash ends new
/// the device can be found
/// ```
final class DeviceCreator {
    private final BusContext bus;
    private final ParentCloser exits;

    DeviceCreator(BusContext bus, ParentCloser exits) {
        this.bus = bus;
        this.exits = exits;
    }

    /// The device to create.
    ///
    /// @param attributes its settings
    /// @param definition its definition, if it gets one
    private record Wish(
            Verb verb,
            UUID uuid,
            Parent parent,
            MdevType type,
            List<Attribute> attributes,
            @Nullable MdevDefinition definition) {}

    /// Creates a device without a definition.
    ///
    /// @throws MdevException EEXIST if the uuid is in use, also by a definition; otherwise as
    ///   [MdevBus#create]
    Mdev createTransient(UUID uuid, String parentName, String typeId, List<Attribute> attributes) {
        MdevDefinition.requireFew(uuid, attributes);
        try (VerbLocks.Claim claim = bus.claims().claim(uuid, "created", Errno.EEXIST)) {
            Parent parent = bus.parent(parentName);
            MdevType type = parent.type(typeId);
            requireUndefined(uuid);
            return bringUp(claim, new Wish(Verb.CREATE, uuid, parent, type, attributes, null));
        }
    }

    /// Writes a definition and creates its device, both or neither.
    Mdev createDefined(MdevDefinition definition) {
        UUID uuid = definition.uuid();
        try (VerbLocks.Claim claim = bus.claims().claim(uuid, "created", Errno.EEXIST)) {
            Parent parent = bus.parent(definition.parent());
            MdevType type = parent.type(definition.type());
            requireUndefined(uuid);
            return bringUp(
                    claim,
                    new Wish(
                            Verb.CREATE_DEFINED,
                            uuid,
                            parent,
                            type,
                            definition.attributes(),
                            definition));
        }
    }

    /// @see MdevBus#checkCreate
    void checkCreate(
            UUID uuid,
            String parentName,
            String typeId,
            List<Attribute> attributes,
            BiFunction<String, String, FitReport> explain) {
        MdevDefinition.requireFew(uuid, attributes);
        Parent parent = bus.parent(parentName);
        MdevType type = parent.type(typeId);
        requireUndefined(uuid);
        check(uuid, parent, type, attributes, explain);
    }

    /// @see MdevBus#checkStart
    void checkStart(UUID uuid, BiFunction<String, String, FitReport> explain) {
        MdevDefinition definition = required(uuid);
        Parent parent = bus.parent(definition.parent());
        check(uuid, parent, parent.type(definition.type()), definition.attributes(), explain);
    }

    private void check(
            UUID uuid,
            Parent parent,
            MdevType type,
            List<Attribute> attributes,
            BiFunction<String, String, FitReport> explain) {
        BusContext.requireAttributes(parent, attributes);
        bus.registry().requireRoom(uuid, parent, type);
        if (!explain.apply(parent.name(), type.id()).fits()) {
            throw new MdevException(
                    Errno.EUSERS,
                    parent.explain(type)
                            .orElseGet(() -> "type=%s does not fit".formatted(type.id())));
        }
    }

    private MdevDefinition required(UUID uuid) {
        return bus.definitions()
                .find(uuid)
                .orElseThrow(() ->
                        new MdevException(Errno.ENOENT, "mdev=%s is not defined".formatted(uuid)));
    }

    private void requireUndefined(UUID uuid) {
        Optional<MdevDefinition> other = bus.definitions().find(uuid);
        if (other.isPresent()) {
            throw new MdevException(
                    Errno.EEXIST,
                    "mdev=%s is defined: type=%s parent=%s"
                            .formatted(uuid, other.get().type(), other.get().parent()));
        }
    }

    /// Creates the device of a definition.
    ///
    /// @throws MdevException ENOENT if it is not defined, EEXIST if it exists; otherwise as
    ///   [MdevBus#create]
    Mdev start(UUID uuid) {
        try (VerbLocks.Claim claim = bus.claims().claim(uuid, "started", Errno.EAGAIN)) {
            MdevDefinition definition = required(uuid);
            Parent parent = bus.parent(definition.parent());
            MdevType type = parent.type(definition.type());
            return bringUp(
                    claim, new Wish(Verb.START, uuid, parent, type, definition.attributes(), null));
        }
    }

    private Mdev bringUp(VerbLocks.Claim claim, Wish wish) {
        Parent parent = wish.parent();
        BusContext.requireAttributes(parent, wish.attributes());
        Mdev mdev = reserve(wish);
        long op = begin(wish, mdev);
        try {
            if (wish.definition() != null) {
                bus.definitions().put(wish.definition());
                bus.ledger().step(op, "defined");
            }
            claim.yieldFromNow(() -> giveUp(wish, op));
            make(mdev, op, wish.attributes());
            claim.keep();
            bus.ledger().commit(op);
            bus.registry().activate(mdev, Owner.OURS);
        } catch (RuntimeException | Error e) {
            keepForUndo(claim, e);
            undo(wish, mdev, op, e);
            throw e;
        }
        announce(mdev, wish.definition());
        return mdev;
    }

    /// Elastic shares that have more than their minimum make room, if that is what is missing.
    ///
    /// @throws MdevException EUSERS if it does not fit, ETIMEDOUT if the others give nothing up in
    ///   time
    private Mdev reserve(Wish wish) {
        Parent parent = wish.parent();
        bus.registry().requireRoom(wish.uuid(), parent, wish.type());
        try (ElasticRoom room = new ElasticRoom(parent, wish.type())) {
            var _ = room.make();
            while (true) {
                try {
                    return bus.registry()
                            .reserve(
                                    wish.uuid(),
                                    parent,
                                    wish.type(),
                                    share ->
                                            bus.admitMdev(wish.uuid(), parent, wish.type(), share));
                } catch (MdevException e) {
                    // Another new device may have taken what this one made free.
                    if (e.errno() != Errno.EUSERS || !room.make()) {
                        throw e;
                    }
                }
            }
        }
    }

    /// After any failure: if a removal took over, the removal undoes it.
    private static void keepForUndo(VerbLocks.Claim claim, Throwable because) {
        try {
            claim.keep();
        } catch (MdevException e) {
            e.addSuppressed(because);
            throw e;
        }
    }

    /// Lets the driver create the device. This may take forever.
    private void make(Mdev mdev, long op, List<Attribute> attributes) {
        Parent parent = mdev.parent();
        MdevDevice made =
                parent.calls()
                        .call("create", () -> parent.device().create(bus.context(mdev, attributes)))
                        .orThrow(DeviceCreator::meaningOf);
        mdev.driver().own(made);
        bus.ledger().step(op, "created");
        bus.bind(mdev);
    }

    /// The errors of `create` that have a meaning for the caller, not only for the driver.
    private static DriverException meaningOf(Refusal refusal) {
        return switch (refusal.errno()) {
            case EUSERS, EEXIST, EINVAL -> DriverException.agreed(refusal);
            default -> new DriverException(refusal);
        };
    }

    /// A removal took the device over, and writes its own records of the device's end. The
    /// definition is deleted with the device.
    private void giveUp(Wish wish, long op) {
        if (wish.definition() != null) {
            bus.undefine(wish.uuid());
        }
        bus.ledger().end(op, false);
    }

    private long begin(Wish wish, Mdev mdev) {
        Parent parent = mdev.parent();
        Tenant tenant = new Tenant.Device(mdev.uuid());
        try {
            if (!mdev.elastic().isEmpty()) {
                bus.ledger()
                        .claim(
                                parent.name(),
                                parent.capacity().pagesOf(tenant).stream()
                                        .map(pfns -> ApertureRun.of(pfns, parent.aperturePfns()))
                                        .toList());
            }
            return bus.ledger().begin(wish.verb(), BusContext.subject(mdev, Owner.OURS));
        } catch (RuntimeException | Error e) {
            // The pages are as clean as before: no driver had them.
            bus.watch().remove(mdev.calls());
            mdev.elastic().forEach(DeviceMemory::end);
            parent.capacity().releaseAll(tenant);
            bus.registry().remove(mdev.uuid());
            exits.closeIfReady(mdev.parent());
            throw e;
        }
    }

    private void announce(Mdev mdev, @Nullable MdevDefinition definition) {
        if (definition != null) {
            bus.observer().event(new MdevEvent.Defined(definition));
        }
        bus.observer().event(new MdevEvent.Started(mdev, Owner.OURS));
    }

    /// Leads to the old state: closes the driver's object, frees the pages, deletes the definition.
    /// The reason is reported together with further failures; if the definition cannot be deleted
    /// now, the verb stays unfinished, and the next start of the host deletes it.
    private void undo(Wish wish, Mdev mdev, long op, Throwable because) {
        boolean undefined = true;
        try {
            if (wish.definition() != null) {
                bus.undefine(wish.uuid());
            }
        } catch (RuntimeException | Error e) {
            undefined = false;
            because.addSuppressed(e);
        }
        boolean undone = undefined;
        try {
            var _ =
                    DeviceTeardown.prepare(bus, exits, mdev)
                            .begin(
                                    null,
                                    trouble -> {
                                        trouble.ifPresent(text ->
                                                because.addSuppressed(
                                                        new MdevException(Errno.EIO, text)));
                                        bus.ledger().gone(mdev.parent().name(), mdev.uuid());
                                        if (undone) {
                                            bus.ledger().end(op, false);
                                        }
                                    })
                            .await();
        } catch (MdevException e) {
            because.addSuppressed(e);
        } catch (RuntimeException | Error e) {
            // There is no thread to end it: it is lost, and a restart of the host ends it.
            because.addSuppressed(e);
            mdev.revokeForGood();
            var _ = DeviceTeardown.markLost(bus, mdev, "failed to end: " + e);
        }
    }
}
