package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.Verb;

import java.time.Duration;
import java.util.Optional;
import java.util.UUID;

/// Ends devices.
///
/// ```
/// let nobody get the device; ask its holder, and wait    in memory; may be given up
/// begin                                                  durable; from here on a crash ends new
/// delete the definition, if that is to go too            durable
/// revoke the mappings
/// MdevDevice.close                                       on a thread of the device's own, as is
/// scrub and verify the pages, record them as clean       what follows
/// end
/// the uuid is free
/// ```
final class Ender {
    private final BusContext bus;
    private final ParentExits exits;

    Ender(BusContext bus, ParentExits exits) {
        this.bus = bus;
        this.exits = exits;
    }

    /// Ends a device, and its definition if it has one: either may be missing, but not both.
    RemovalReport remove(UUID uuid, Removal how) {
        try (Registry.Claim _ = bus.registry().claimToEnd(uuid, Duration.ZERO)) {
            Optional<Registry.Entry> entry = bus.registry().find(uuid);
            if (entry.isPresent()) {
                return end(entry.get(), how, Verb.REMOVE);
            }
            if (bus.definitions().find(uuid).isEmpty()) {
                throw new MdevException(Errno.ENODEV, "mdev=" + uuid);
            }
            new DefinitionVerbs(bus).undefineClaimed(uuid);
            return RemovalReport.INACTIVE;
        }
    }

    /// Ends a device. What is defined stays.
    ///
    /// @param wait how long to wait for somebody who does something else to it
    RemovalReport stop(UUID uuid, Removal how, Duration wait) {
        try (Registry.Claim _ = bus.registry().claimToEnd(uuid, wait)) {
            Registry.Entry entry =
                    bus.registry()
                            .find(uuid)
                            .orElseThrow(() ->
                                    new MdevException(
                                            Errno.ENODEV, "mdev=%s is not active".formatted(uuid)));
            return end(entry, how, Verb.STOP);
        }
    }

    private RemovalReport end(Registry.Entry entry, Removal how, Verb verb) {
        requireEndable(entry);
        Mdev mdev = entry.required();
        TakenBack from = takeBack(mdev, how);
        boolean wasDefined = bus.definitions().find(mdev.uuid()).isPresent();
        long op = begin(mdev, entry.owner(), verb);
        if (verb == Verb.REMOVE && wasDefined) {
            bus.observer().event(new MdevEvent.Undefined(mdev.uuid()));
        }
        Optional<String> trouble =
                DeviceEnd.begin(
                                bus,
                                exits,
                                mdev,
                                said -> {
                                    bus.ledger().end(op, true);
                                    bus.observer()
                                            .event(
                                                    new MdevEvent.Stopped(
                                                            mdev.uuid(),
                                                            mdev.parent().name(),
                                                            said));
                                    bus.observer().removed(mdev);
                                })
                        .await();
        return new RemovalReport(from.holder(), from.taken(), trouble);
    }

    private static void requireEndable(Registry.Entry entry) {
        UUID uuid = entry.uuid();
        if (entry.owner() == Owner.FOREIGN) {
            throw new MdevException(
                    Errno.EPERM, "mdev=%s is somebody else's: adopt it first".formatted(uuid));
        }
        switch (entry.activity()) {
            case ACTIVE -> {}
            case LOST ->
                    throw new MdevException(
                            Errno.EBUSY,
                            "mdev=%s is lost: %s".formatted(uuid, entry.trouble().orElse("")));
            case STARTING, STOPPING ->
                    throw new MdevException(
                            Errno.EAGAIN, "mdev=%s is %s".formatted(uuid, entry.activity()));
            case INACTIVE -> throw new IllegalStateException("an entry that is inactive");
        }
    }

    /// Who had a device, and whether it was taken.
    private record TakenBack(Optional<String> holder, boolean taken) {}

    /// Waits until nobody has the device, or takes it all the same.
    private TakenBack takeBack(Mdev mdev, Removal how) {
        Assignment assignment = mdev.assignment();
        Optional<DeviceHolder> holder = assignment.beginRemoval();
        Optional<String> name = holder.map(DeviceHolder::name);
        if (holder.isEmpty()) {
            return new TakenBack(name, false);
        }
        try {
            ask(mdev, holder.get(), how.grace());
            if (assignment.awaitLetGo(how.grace())) {
                return new TakenBack(name, false);
            }
            if (!how.force()) {
                throw new MdevException(
                        Errno.EBUSY,
                        "mdev=%s is assigned to %s%s"
                                .formatted(
                                        mdev.uuid(),
                                        holder.get().name(),
                                        how.grace().isPositive()
                                                ? ", which did not let go within %d ms"
                                                        .formatted(how.grace().toMillis())
                                                : ""));
            }
            bus.observer().event(new MdevEvent.Revoked(mdev.uuid(), holder.get().name()));
            return new TakenBack(name, true);
        } catch (RuntimeException | Error e) {
            assignment.cancelRemoval();
            throw e;
        }
    }

    /// Raises the guest's request interrupt in any case, as VFIO does; the holder itself is only
    /// asked if it has time to answer. It may take longer, or not return at all: it must not take
    /// our thread.
    private void ask(Mdev mdev, DeviceHolder holder, Duration grace) {
        mdev.requestRelease();
        if (!grace.isPositive()) {
            return;
        }
        bus.observer().event(new MdevEvent.ReleaseRequested(mdev.uuid(), holder.name(), grace));
        Thread.ofVirtual()
                .name("mdev-ask-" + mdev.uuid())
                .start(() -> holder.releaseRequested(mdev, grace));
    }

    private long begin(Mdev mdev, Owner owner, Verb verb) {
        try {
            long op = bus.ledger().begin(verb, BusContext.subject(mdev, owner));
            if (verb == Verb.REMOVE) {
                undefine(mdev, op);
            }
            return op;
        } catch (RuntimeException | Error e) {
            mdev.assignment().cancelRemoval();
            throw e;
        }
    }

    private void undefine(Mdev mdev, long op) {
        try {
            bus.definitions().remove(mdev.uuid());
            bus.ledger().step(op, Recovery.UNDEFINED);
        } catch (RuntimeException | Error e) {
            bus.ledger().end(op, false);
            throw e;
        }
    }
}
