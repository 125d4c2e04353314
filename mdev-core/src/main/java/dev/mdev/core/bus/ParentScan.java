package dev.mdev.core.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.PoolRuns;
import dev.mdev.core.ledger.Subject;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;

/// What happens when a parent arrives, before anybody can use it: its devices are found and told
/// apart, pages that may hold somebody's bytes are scrubbed, and devices that are to start with it
/// are started.
final class ParentScan {
    private final BusContext bus;
    private final ParentExits exits;
    private final DeviceCreator starter;

    ParentScan(BusContext bus, ParentExits exits, DeviceCreator starter) {
        this.bus = bus;
        this.exits = exits;
        this.starter = starter;
    }

    /// Asks which devices are there, and sets their pages aside.
    ///
    /// @throws MdevException what the driver threw, EINVAL if what it says makes no sense
    List<ExistingDevice> inspect(Parent parent) {
        List<ExistingDevice> existing =
                parent.calls().call("existing", () -> parent.device().existing()).orThrow();
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
        existing.forEach(device -> recognizeClaimed(parent, device));
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

    /// Nobody ends the device before everybody was told of it.
    private void recognizeClaimed(Parent parent, ExistingDevice device) {
        try (VerbLocks.Claim _ =
                bus.claims()
                        .claimInTime(device.uuid(), "recognized", bus.options().callDeadline())) {
            recognize(parent, device);
        } catch (MdevException e) {
            bus.observer()
                    .event(new MdevEvent.StartFailed(device.uuid(), parent.name(), e.toString()));
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

    /// Takes an existing device over from whoever made it.
    private void takeOver(Parent parent, ExistingDevice device, Owner owner) {
        Mdev mdev = newMdev(parent, device);
        boolean handedOver = false;
        try {
            Adoption.ask(mdev);
            handedOver = true;
            mdev.markTakenOver();
            bus.registry().add(Registry.Entry.of(mdev, owner, Activity.ACTIVE));
        } catch (RuntimeException | Error e) {
            bus.watch().remove(mdev.calls());
            if (handedOver || !(e instanceof MdevException refused)) {
                throw e;
            }
            addLost(parent, device, owner, refused);
            return;
        }
        bus.ledger().active(BusContext.subject(mdev, owner));
        bus.observer()
                .event(new MdevEvent.Started(mdev.uuid(), parent.name(), mdev.type().id(), owner));
        bus.observer().created(mdev);
    }

    private void addLost(Parent parent, ExistingDevice device, Owner owner, MdevException because) {
        String why = "could not be taken over: " + because;
        Registry.Entry entry = foundEntry(parent, device, owner, Optional.of(why));
        bus.registry().add(entry);
        bus.observer().event(new MdevEvent.Lost(device.uuid(), parent.name(), why, entry.npages()));
    }

    private void endDoomed(Parent parent, ExistingDevice device) {
        Mdev mdev = newMdev(parent, device);
        DeviceTeardown end = null;
        boolean handedOver = false;
        try {
            end = DeviceTeardown.prepare(bus, exits, mdev);
            Adoption.ask(mdev);
            handedOver = true;
            bus.registry().add(Registry.Entry.of(mdev, Owner.OURS, Activity.STOPPING));
        } catch (RuntimeException | Error e) {
            bus.watch().remove(mdev.calls());
            if (end != null) {
                end.cancel();
            }
            if (handedOver || !(e instanceof MdevException refused)) {
                throw e;
            }
            addLost(parent, device, Owner.OURS, refused);
            return;
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

    private Mdev newMdev(Parent parent, ExistingDevice device) {
        return bus.newMdev(device.uuid(), parent, parent.type(device.typeId()), device.share());
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

    /// Ends the arrival of a parent, however it went.
    void endArrival(Parent parent) {
        exits.letGo(parent);
    }

    /// Looks again which devices others made or ended. What something is being done to meanwhile is
    /// left to the next time.
    ///
    /// @throws MdevException ENODEV if the parent is not there to be used; what the driver threw;
    ///   EINVAL if a new device has pages that are taken
    void rescan(Parent parent) {
        bus.registry().use(parent);
        try {
            Look look = look(parent);
            long removals = look.removals();
            for (UUID uuid : look.changed(parent)) {
                removals += follow(parent, look, uuid, removals);
            }
        } finally {
            exits.letGo(parent);
        }
    }

    /// What was known of a parent's devices, and then which there are.
    private record Look(
            Map<UUID, Registry.Entry> known, long removals, Map<UUID, ExistingDevice> there) {
        /// Those of which not all is well known; first those that are gone, since others may have
        /// their pages.
        Set<UUID> changed(Parent parent) {
            Set<UUID> changed = new LinkedHashSet<>();
            known.forEach((uuid, entry) -> {
                if (entry.owner() == Owner.FOREIGN && !there.containsKey(uuid)) {
                    changed.add(uuid);
                }
            });
            // A device that could not be spoken of, another parent's having its uuid, has pages.
            Stream.of(parent.capacity().devices(), there.keySet())
                    .flatMap(Set::stream)
                    .filter(uuid -> !known.containsKey(uuid))
                    .sorted(Comparator.comparing(there::containsKey))
                    .forEach(changed::add);
            return changed;
        }
    }

    private Look look(Parent parent) {
        long removals = bus.registry().removals();
        Map<UUID, Registry.Entry> known = new LinkedHashMap<>();
        bus.registry().entriesOf(parent).forEach(entry -> known.put(entry.uuid(), entry));
        Map<UUID, ExistingDevice> there = new LinkedHashMap<>();
        parent.calls()
                .call("existing", () -> parent.device().existing())
                .orThrow()
                .forEach(device -> there.put(device.uuid(), device));
        return new Look(known, removals, there);
    }

    /// Does what follows from a look, if that is still true: while we have the device's claim, no
    /// verb changes it. The driver was not asked with the claim, as it may take for ever.
    ///
    /// @param removals what the registry's number must be if nobody else removed anything
    /// @return how many devices were removed
    @SuppressWarnings("ReferenceEquality") // the very entry
    private int follow(Parent parent, Look look, UUID uuid, long removals) {
        try (VerbLocks.Claim claim = bus.claims().tryClaim(uuid, "looked for").orElse(null)) {
            Registry.Entry before = look.known().get(uuid);
            Registry.Entry now = entryOf(parent, uuid);
            if (claim == null || before != now) {
                return 0;
            }
            if (now != null) {
                forgetForeign(now);
                return 1;
            }
            // It may have been known and removed in between.
            if (removals == bus.registry().removals()) {
                ExistingDevice device = look.there().get(uuid);
                if (device != null) {
                    addFound(parent, device);
                } else {
                    scrubForgotten(parent, uuid);
                }
            }
            return 0;
        }
    }

    private Registry.@Nullable Entry entryOf(Parent parent, UUID uuid) {
        return bus.registry().find(uuid).filter(entry -> entry.parent() == parent).orElse(null);
    }

    /// The device may have been there before, and not have been spoken of: it has its pages then.
    private void addFound(Parent parent, ExistingDevice device) {
        var _ = parent.type(device.typeId());
        Tenant tenant = new Tenant.Device(device.uuid());
        boolean isNew = parent.capacity().pagesOf(tenant).isEmpty();
        if (isNew) {
            parent.capacity().allocateAt(device.share(), tenant);
            bus.ledger().markDirty(parent.name(), runsOf(parent, device.share()));
        }
        if (isNew || bus.registry().find(device.uuid()).isEmpty()) {
            recognize(parent, device);
        }
    }

    private void scrubForgotten(Parent parent, UUID uuid) {
        Tenant tenant = new Tenant.Device(uuid);
        parent.capacity()
                .pagesOf(tenant)
                .forEach(pfns -> bus.scrubber().scrub(parent, pfns, tenant, () -> {}));
    }

    private void forgetForeign(Registry.Entry entry) {
        Parent parent = entry.parent();
        bus.scrubber().giveBack(parent, entry.share(), new Tenant.Device(entry.uuid()), () -> {});
        var _ = bus.registry().remove(entry.uuid());
        bus.observer().event(new MdevEvent.ForeignGone(entry.uuid(), parent.name()));
    }

    /// Scrubs quarantined pages again, and frees those that are well.
    ///
    /// @throws MdevException ENODEV if the parent is not there to be used
    void repair(Parent parent) {
        bus.registry().use(parent);
        try {
            Tenant scrubbing = new Tenant.Scrubbing();
            // Ours from here on: another repair finds none of them.
            for (PfnRange pfns : parent.capacity().passAll(new Tenant.Bad(), scrubbing)) {
                bus.ledger()
                        .markGood(
                                parent.name(),
                                List.of(ApertureRun.of(pfns, parent.aperturePfns())));
                bus.scrubber().scrub(parent, pfns, scrubbing, () -> {});
            }
        } finally {
            exits.letGo(parent);
        }
    }
}
