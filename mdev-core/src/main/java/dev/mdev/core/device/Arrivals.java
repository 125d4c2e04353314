package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.PoolRuns;
import dev.mdev.core.ledger.Subject;
import dev.mdev.core.ledger.Verb;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/// What happens when a parent arrives, before anybody can use it: its devices are found and told
/// apart, pages that may hold somebody's bytes are scrubbed, and devices that are to start with it
/// are started.
final class Arrivals {
    private final BusContext bus;
    private final ParentExits exits;
    private final Starter starter;

    Arrivals(BusContext bus, ParentExits exits, Starter starter) {
        this.bus = bus;
        this.exits = exits;
        this.starter = starter;
    }

    /// Asks which devices are there, and sets their pages aside.
    ///
    /// @throws MdevException what the driver threw, EINVAL if what it says makes no sense
    List<ExistingDevice> inspect(Parent parent) {
        List<ExistingDevice> existing =
                BusContext.orThrow(
                        parent.calls().call("existing", () -> parent.device().existing()));
        Set<UUID> seen = new HashSet<>();
        for (ExistingDevice device : existing) {
            var _ = parent.type(device.typeId());
            if (!seen.add(device.uuid())) {
                throw new MdevException(
                        Errno.EINVAL, "two devices of one uuid: mdev=" + device.uuid());
            }
            parent.capacity().allocateAt(device.share(), new Tenant.Device(device.uuid()));
        }
        return existing;
    }

    /// Makes the parent usable.
    ///
    /// @param fresh whether its pages are known to be zero, whatever was noted of them
    void settle(Parent parent, List<ExistingDevice> existing, boolean fresh) {
        String name = parent.name();
        bus.ledger().met(name, parent.poolRuns());
        if (fresh) {
            forgetMarks(parent);
        }
        existing.forEach(device -> bus.ledger().markDirty(name, runsOf(parent, device.share())));
        setBadAside(parent);
        existing.forEach(device -> recognize(parent, device));
        forgetMissing(parent, existing);
        scrubDirty(parent);
        bus.registry().setPresence(parent, Parent.Presence.PRESENT);
        bus.observer()
                .event(
                        new MdevEvent.ParentArrived(
                                name,
                                parent.driverName(),
                                parent.usage().stream().mapToLong(PoolUsage::freePages).sum()));
        startDefined(parent);
    }

    private void forgetMarks(Parent parent) {
        List<ApertureRun> all =
                parent.poolRuns().stream().flatMap(pool -> pool.runs().stream()).toList();
        bus.ledger().markGood(parent.name(), all);
        bus.ledger().markClean(parent.name(), all);
    }

    private static List<ApertureRun> runsOf(Parent parent, List<PoolShare> share) {
        return PoolRuns.of(share, parent.aperturePfns()).stream()
                .flatMap(pool -> pool.runs().stream())
                .toList();
    }

    private void setBadAside(Parent parent) {
        for (ApertureRun run : bus.ledger().bad(parent.name())) {
            var _ = parent.capacity().takeFree(run.pfnsIn(parent.aperturePfns()), new Tenant.Bad());
        }
    }

    /// A device is ours if we noted that we made it, and adopted if we noted that; one that we were
    /// making or ending when we died is ended; any other is foreign.
    private void recognize(Parent parent, ExistingDevice device) {
        Optional<Subject> noted = bus.ledger().active(parent.name(), device.uuid());
        try {
            if (bus.ledger().doomed(parent.name()).contains(device.uuid())) {
                endDoomed(parent, device);
            } else if (noted.isPresent() && noted.get().type().equals(device.typeId())) {
                takeOver(parent, device, noted.get().owner());
            } else {
                addForeign(parent, device);
            }
        } catch (MdevException e) {
            // Another parent has a device of this uuid. This one cannot be spoken of: it is left
            // alone, and keeps its pages.
            bus.observer()
                    .event(new MdevEvent.StartFailed(device.uuid(), parent.name(), e.toString()));
        }
    }

    private void addForeign(Parent parent, ExistingDevice device) {
        bus.registry().add(foundEntry(parent, device, Owner.FOREIGN, Optional.empty()));
        bus.observer()
                .event(new MdevEvent.ForeignFound(device.uuid(), parent.name(), device.typeId()));
    }

    private static Registry.Entry foundEntry(
            Parent parent, ExistingDevice device, Owner owner, Optional<String> trouble) {
        return new Registry.Entry(
                device.uuid(),
                parent,
                parent.type(device.typeId()),
                owner,
                trouble.isPresent() ? Activity.LOST : Activity.ACTIVE,
                null,
                device.share(),
                trouble);
    }

    private void takeOver(Parent parent, ExistingDevice device, Owner owner) {
        Mdev mdev = null;
        try {
            mdev = adopt(parent, device);
            mdev.markTakenOver();
            bus.registry().add(Registry.Entry.of(mdev, owner, Activity.ACTIVE));
            bus.ledger().active(BusContext.subject(mdev, owner));
            bus.observer()
                    .event(
                            new MdevEvent.Started(
                                    mdev.uuid(), parent.name(), mdev.type().id(), owner));
            bus.observer().created(mdev);
        } catch (MdevException e) {
            if (mdev != null) {
                throw e;
            }
            addLost(parent, device, owner, e);
        }
    }

    private void addLost(Parent parent, ExistingDevice device, Owner owner, MdevException because) {
        String why = "could not be taken over: " + because;
        Registry.Entry entry = foundEntry(parent, device, owner, Optional.of(why));
        bus.registry().add(entry);
        bus.observer().event(new MdevEvent.Lost(device.uuid(), parent.name(), why, entry.npages()));
    }

    private void endDoomed(Parent parent, ExistingDevice device) {
        Mdev mdev;
        try {
            mdev = adopt(parent, device);
        } catch (MdevException e) {
            addLost(parent, device, Owner.OURS, e);
            return;
        }
        bus.registry().add(Registry.Entry.of(mdev, Owner.OURS, Activity.STOPPING));
        try {
            var _ =
                    DeviceEnd.prepare(bus, exits, mdev)
                            .begin(null, _ -> bus.ledger().gone(parent.name(), mdev.uuid()))
                            .await();
        } catch (MdevException e) {
            if (e.errno() != Errno.ETIMEDOUT) {
                throw e;
            }
            // It is lost, which everybody was told.
        }
    }

    /// Takes an existing device over from whoever made it.
    private Mdev adopt(Parent parent, ExistingDevice device) {
        MdevType type = parent.type(device.typeId());
        Mdev mdev = bus.newMdev(device.uuid(), parent, type, device.share());
        try {
            mdev.driver()
                    .own(
                            BusContext.orThrow(
                                    parent.calls()
                                            .call(
                                                    "adopt",
                                                    () ->
                                                            parent.device()
                                                                    .adopt(
                                                                            BusContext.context(
                                                                                    mdev)))));
            BusContext.bind(mdev);
            return mdev;
        } catch (MdevException e) {
            bus.watch().remove(mdev.calls());
            throw e;
        }
    }

    /// Takes over a foreign device, since the operator says so.
    ///
    /// @throws MdevException ENODEV if there is no such device, EPERM if it is not foreign; else
    ///   what the driver threw, and the device is foreign still
    Mdev adopt(UUID uuid) {
        try (Claims.Claim _ = bus.claims().claim(uuid, "adopted", Errno.EAGAIN)) {
            Registry.Entry entry =
                    bus.registry()
                            .find(uuid)
                            .orElseThrow(() -> new MdevException(Errno.ENODEV, "mdev=" + uuid));
            if (entry.owner() != Owner.FOREIGN) {
                throw new MdevException(
                        Errno.EPERM, "mdev=%s is not foreign: %s".formatted(uuid, entry.owner()));
            }
            Parent parent = entry.parent();
            ExistingDevice device = new ExistingDevice(uuid, entry.type().id(), entry.share());
            Subject subject =
                    new Subject(
                            uuid,
                            parent.name(),
                            entry.type().id(),
                            Owner.ADOPTED,
                            PoolRuns.of(entry.share(), parent.aperturePfns()));
            long op = bus.ledger().begin(Verb.ADOPT, subject);
            Mdev mdev;
            try {
                mdev = adopt(parent, device);
                bus.ledger().commit(op);
            } catch (RuntimeException | Error e) {
                bus.ledger().end(op, false);
                throw e;
            }
            mdev.markTakenOver();
            try {
                bus.registry().activate(mdev, Owner.ADOPTED);
            } catch (MdevException e) {
                // The parent is leaving, and has not seen that this is one of its devices now.
                endWithParent(mdev, e);
                throw e;
            }
            bus.observer()
                    .event(
                            new MdevEvent.Started(
                                    uuid, parent.name(), entry.type().id(), Owner.ADOPTED));
            bus.observer().created(mdev);
            return mdev;
        }
    }

    private void endWithParent(Mdev mdev, MdevException because) {
        bus.registry().put(Registry.Entry.of(mdev, Owner.ADOPTED, Activity.STOPPING));
        try {
            var _ =
                    DeviceEnd.prepare(bus, exits, mdev)
                            .begin(null, _ -> bus.ledger().gone(mdev.parent().name(), mdev.uuid()))
                            .await();
        } catch (MdevException e) {
            because.addSuppressed(e);
        }
    }

    private void forgetMissing(Parent parent, List<ExistingDevice> existing) {
        Set<UUID> there = new HashSet<>();
        existing.forEach(device -> there.add(device.uuid()));
        List<UUID> missing = new ArrayList<>(bus.ledger().doomed(parent.name()));
        bus.ledger().activeOf(parent.name()).forEach(subject -> missing.add(subject.uuid()));
        missing.removeAll(there);
        missing.forEach(uuid -> bus.ledger().gone(parent.name(), uuid));
    }

    private void scrubDirty(Parent parent) {
        Tenant scrubbing = new Tenant.Scrubbing();
        List<PfnRange> taken = new ArrayList<>();
        for (ApertureRun run : bus.ledger().dirty(parent.name())) {
            taken.addAll(parent.capacity().takeFree(run.pfnsIn(parent.aperturePfns()), scrubbing));
        }
        taken.forEach(pfns -> bus.scrubber().scrub(parent, pfns, scrubbing, () -> {}));
    }

    private void startDefined(Parent parent) {
        for (MdevDefinition definition : bus.definitions().all()) {
            boolean wanted =
                    definition.autostart()
                            && definition.parent().equals(parent.name())
                            && bus.registry().find(definition.uuid()).isEmpty();
            if (!wanted) {
                continue;
            }
            try {
                var _ = starter.start(definition.uuid());
            } catch (MdevException e) {
                bus.observer()
                        .event(
                                new MdevEvent.StartFailed(
                                        definition.uuid(), parent.name(), e.toString()));
            }
        }
    }

    /// Looks again which devices others made or ended.
    ///
    /// @throws MdevException what the driver threw; EINVAL if a new device has pages that are taken
    void rescan(Parent parent) {
        List<ExistingDevice> existing =
                BusContext.orThrow(
                        parent.calls().call("existing", () -> parent.device().existing()));
        Map<UUID, ExistingDevice> there = new LinkedHashMap<>();
        existing.forEach(device -> there.put(device.uuid(), device));
        for (Registry.Entry entry : bus.registry().entriesOf(parent)) {
            boolean known = there.remove(entry.uuid()) != null;
            if (!known && entry.owner() == Owner.FOREIGN) {
                forgetForeign(entry);
            }
        }
        for (ExistingDevice device : there.values()) {
            var _ = parent.type(device.typeId());
            Tenant tenant = new Tenant.Device(device.uuid());
            parent.capacity().allocateAt(device.share(), tenant);
            bus.ledger().markDirty(parent.name(), runsOf(parent, device.share()));
            recognize(parent, device);
        }
    }

    private void forgetForeign(Registry.Entry entry) {
        Parent parent = entry.parent();
        try (Claims.Claim _ = bus.claims().claim(entry.uuid(), "forgotten", Errno.EAGAIN)) {
            bus.scrubber()
                    .giveBack(parent, entry.share(), new Tenant.Device(entry.uuid()), () -> {});
            var _ = bus.registry().remove(entry.uuid());
        }
        bus.observer().event(new MdevEvent.ForeignGone(entry.uuid(), parent.name()));
    }

    /// Scrubs quarantined pages again, and frees those that are well.
    void repair(Parent parent) {
        Tenant bad = new Tenant.Bad();
        for (PfnRange pfns : parent.capacity().pagesOf(bad)) {
            bus.ledger()
                    .markGood(parent.name(), List.of(ApertureRun.of(pfns, parent.aperturePfns())));
            bus.scrubber().scrub(parent, pfns, bad, () -> {});
        }
    }
}
