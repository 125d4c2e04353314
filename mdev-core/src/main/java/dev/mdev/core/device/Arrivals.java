package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.PoolRuns;
import dev.mdev.core.ledger.Subject;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
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
        bus.registry().settle(parent);
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
                bus.watch().remove(mdev.calls());
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
        DeviceEnd end = DeviceEnd.prepare(bus, exits, mdev);
        try {
            bus.registry().add(Registry.Entry.of(mdev, Owner.OURS, Activity.STOPPING));
        } catch (MdevException e) {
            end.cancel();
            bus.watch().remove(mdev.calls());
            throw e;
        }
        try {
            var _ = end.begin(null, _ -> bus.ledger().gone(parent.name(), mdev.uuid())).await();
        } catch (MdevException e) {
            if (e.errno() != Errno.ETIMEDOUT) {
                throw e;
            }
            // It is lost, which everybody was told.
        }
    }

    /// Takes an existing device over from whoever made it.
    private Mdev adopt(Parent parent, ExistingDevice device) {
        Mdev mdev =
                bus.newMdev(device.uuid(), parent, parent.type(device.typeId()), device.share());
        try {
            Adoption.ask(mdev);
            return mdev;
        } catch (RuntimeException | Error e) {
            bus.watch().remove(mdev.calls());
            throw e;
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

    /// Looks again which devices others made or ended. What something is being done to meanwhile is
    /// left to the next time.
    ///
    /// @throws MdevException what the driver threw; EINVAL if a new device has pages that are taken
    void rescan(Parent parent) {
        Set<UUID> there = existing(parent).keySet();
        Set<UUID> changed = new LinkedHashSet<>(there);
        for (Registry.Entry entry : bus.registry().entriesOf(parent)) {
            if (there.contains(entry.uuid()) || entry.owner() != Owner.FOREIGN) {
                changed.remove(entry.uuid());
            } else {
                changed.add(entry.uuid());
            }
        }
        for (UUID uuid : changed) {
            try (Claims.Claim claim = bus.claims().tryClaim(uuid, "looked for").orElse(null)) {
                if (claim != null) {
                    lookAgain(parent, uuid);
                }
            }
        }
    }

    private static Map<UUID, ExistingDevice> existing(Parent parent) {
        Map<UUID, ExistingDevice> there = new LinkedHashMap<>();
        BusContext.orThrow(parent.calls().call("existing", () -> parent.device().existing()))
                .forEach(device -> there.put(device.uuid(), device));
        return there;
    }

    /// Looks for one device. Since it was last looked for, a verb may have made it or ended it; now
    /// none can.
    private void lookAgain(Parent parent, UUID uuid) {
        Optional<ExistingDevice> device = Optional.ofNullable(existing(parent).get(uuid));
        Optional<Registry.Entry> entry =
                bus.registry().find(uuid).filter(known -> known.parent() == parent);
        if (entry.isEmpty()) {
            device.ifPresent(found -> addFound(parent, found));
        } else if (device.isEmpty() && entry.get().owner() == Owner.FOREIGN) {
            forgetForeign(entry.get());
        }
    }

    private void addFound(Parent parent, ExistingDevice device) {
        var _ = parent.type(device.typeId());
        Tenant tenant = new Tenant.Device(device.uuid());
        if (!parent.capacity().pagesOf(tenant).isEmpty()) {
            // Another parent has a device of this uuid, and everybody was told.
            return;
        }
        parent.capacity().allocateAt(device.share(), tenant);
        bus.ledger().markDirty(parent.name(), runsOf(parent, device.share()));
        recognize(parent, device);
    }

    private void forgetForeign(Registry.Entry entry) {
        Parent parent = entry.parent();
        bus.scrubber().giveBack(parent, entry.share(), new Tenant.Device(entry.uuid()), () -> {});
        var _ = bus.registry().remove(entry.uuid());
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
