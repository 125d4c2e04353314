package dev.mdev.core.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Assignment;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.Verb;
import dev.mdev.core.sync.LongWork;

import java.time.Duration;
import java.util.Optional;
import java.util.UUID;

/// Ends devices.
///
/// ```
/// wait for another verb on the device, or take over      in memory; may be given up
/// block new holders; ask the holder, and wait            in memory; may be given up
/// begin                                                  durable; from here on a crash ends new
/// delete the definition, if that is to go too            durable
/// revoke the mappings
/// MdevDevice.close                                       on a thread of the device's own, as is
/// scrub and verify the pages, record them as clean       what follows
/// end
/// the uuid is free
/// ```
final class DeviceRemover {
    private final BusContext bus;
    private final ParentCloser exits;
    private final OutsideUsers outside;

    DeviceRemover(BusContext bus, ParentCloser exits) {
        this.bus = bus;
        this.exits = exits;
        this.outside = new OutsideUsers(bus);
    }

    /// Ends a device and its definition; one of the two may be absent.
    RemovalReport remove(UUID uuid, Removal how) {
        try (VerbLocks.Claim claim = claim(uuid, how)) {
            Optional<Registry.Entry> entry = bus.registry().find(uuid);
            if (entry.isPresent()) {
                return end(entry.get(), claim, how.after(claim.waited()), Verb.REMOVE);
            }
            if (bus.definitions().find(uuid).isEmpty()) {
                throw new MdevException(Errno.ENODEV, "mdev=" + uuid);
            }
            new DefinitionVerbs(bus).undefineClaimed(uuid);
            return RemovalReport.INACTIVE;
        }
    }

    /// Ends a device. Its definition stays.
    RemovalReport stop(UUID uuid, Removal how) {
        try (VerbLocks.Claim claim = claim(uuid, how)) {
            Registry.Entry entry =
                    bus.registry()
                            .find(uuid)
                            .orElseThrow(() ->
                                    new MdevException(
                                            Errno.ENODEV, "mdev=%s is not active".formatted(uuid)));
            return end(entry, claim, how.after(claim.waited()), Verb.STOP);
        }
    }

    /// Waits for another verb on the device. A forced removal waits at most as long as it would for
    /// the holder, but at least as long as a callback may take.
    private VerbLocks.Claim claim(UUID uuid, Removal how) {
        Duration deadline = bus.options().callDeadline();
        boolean longer = how.force() && how.grace().compareTo(deadline) < 0;
        return bus.claims().claimToEnd(uuid, longer ? deadline : how.grace(), how.force());
    }

    private RemovalReport end(Registry.Entry entry, VerbLocks.Claim claim, Removal how, Verb verb) {
        requireEndable(entry, claim);
        Mdev mdev = entry.required();
        DeviceTeardown end = DeviceTeardown.prepare(bus, exits, mdev);
        TakenBack from;
        long op;
        try {
            from = takeBack(mdev, how);
            op = begin(mdev, entry.owner(), verb);
            claim.begin();
        } catch (RuntimeException | Error e) {
            end.cancel();
            throw e;
        }
        if (from.taken()) {
            bus.observer().event(new MdevEvent.Revoked(mdev.uuid(), from.holder().orElseThrow()));
        }
        // The device under construction is not yet visible to others.
        boolean known = entry.activity() == Activity.ACTIVE;
        end.begin(
                claim.former().orElse(null),
                said -> {
                    bus.ledger().end(op, true);
                    if (known) {
                        reportGone(mdev, said);
                    }
                });
        return new RemovalReport(from.holder(), from.taken(), await(end, claim));
    }

    private void reportGone(Mdev mdev, Optional<String> said) {
        bus.observer().event(new MdevEvent.Stopped(mdev, said));
    }

    /// Undoes a creation that was taken over, and waits until the device is gone.
    private static Optional<String> await(DeviceTeardown end, VerbLocks.Claim claim) {
        try {
            claim.former().ifPresent(VerbLocks.Claim::undo);
        } catch (RuntimeException | Error e) {
            // The device ends in any case.
            try {
                var _ = end.await();
            } catch (MdevException lost) {
                e.addSuppressed(lost);
            }
            throw e;
        }
        return end.await();
    }

    private static void requireEndable(Registry.Entry entry, VerbLocks.Claim claim) {
        UUID uuid = entry.uuid();
        if (entry.owner() == Owner.FOREIGN) {
            throw new MdevException(
                    Errno.EPERM, "mdev=%s is foreign: adopt it first".formatted(uuid));
        }
        switch (entry.activity()) {
            case ACTIVE -> {}
            case LOST ->
                    throw new MdevException(
                            Errno.EBUSY,
                            "mdev=%s is lost: %s".formatted(uuid, entry.trouble().orElse("")));
            case STARTING -> {
                if (claim.former().isEmpty()) {
                    throw is(entry);
                }
            }
            case STOPPING -> throw is(entry);
            case INACTIVE -> throw new IllegalStateException("an entry that is inactive");
        }
    }

    private static MdevException is(Registry.Entry entry) {
        return new MdevException(
                Errno.EAGAIN,
                "mdev=%s is %s%s"
                        .formatted(
                                entry.uuid(),
                                entry.activity(),
                                entry.trouble().map(why -> ": " + why).orElse("")));
    }

    /// The holder of a device, and whether the device was taken from it.
    record TakenBack(Optional<String> holder, boolean taken) {}

    /// Waits until the device is idle, or takes it.
    private TakenBack takeBack(Mdev mdev, Removal how) {
        Assignment assignment = mdev.assignment();
        Optional<DeviceHolder> holder = assignment.beginRemoval();
        Optional<String> name = holder.map(DeviceHolder::name);
        if (holder.isEmpty()) {
            return outside.takeBack(mdev, how);
        }
        try {
            ask(mdev, holder.get(), how.grace());
            LongWork.current()
                    .doing(
                            "waits for %s, at most %d ms"
                                    .formatted(holder.get().name(), how.grace().toMillis()));
            if (assignment.awaitRelease(how.grace())) {
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
            return new TakenBack(name, true);
        } catch (RuntimeException | Error e) {
            assignment.cancelRemoval();
            throw e;
        }
    }

    /// Raises the guest's request interrupt in any case, as VFIO does; the holder itself is asked
    /// only if it has time to answer. It may take longer, or never return, so it gets a thread of
    /// its own.
    private void ask(Mdev mdev, DeviceHolder holder, Duration grace) {
        mdev.requestRelease();
        if (!grace.isPositive()) {
            return;
        }
        bus.observer().event(new MdevEvent.ReleaseRequested(mdev.uuid(), holder.name(), grace));
        Thread.ofVirtual()
                .name("mdev-ask-" + mdev.uuid())
                .start(() -> holder.releaseRequested(mdev.uuid(), grace));
    }

    private long begin(Mdev mdev, Owner owner, Verb verb) {
        try {
            LongWork.current().noReturn("mdev=%s is being ended".formatted(mdev.uuid()));
            boolean isDefined = bus.definitionOf(mdev.uuid(), mdev.parent()).isPresent();
            // A definition on another parent is not this device's: it stays, also after a crash.
            boolean isOthers = !isDefined && bus.definitions().find(mdev.uuid()).isPresent();
            Verb noted = isOthers ? Verb.STOP : verb;
            long op = bus.ledger().begin(noted, BusContext.subject(mdev, owner));
            if (noted == Verb.REMOVE) {
                undefine(mdev, op);
                if (isDefined) {
                    bus.observer().event(new MdevEvent.Undefined(mdev.uuid()));
                }
            }
            return op;
        } catch (RuntimeException | Error e) {
            mdev.assignment().cancelRemoval();
            throw e;
        }
    }

    private void undefine(Mdev mdev, long op) {
        try {
            bus.undefine(mdev.uuid());
        } catch (RuntimeException | Error e) {
            bus.ledger().end(op, false);
            throw e;
        }
    }
}
