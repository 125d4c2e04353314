package dev.mdev.core.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ReportLevel;
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
import dev.mdev.core.sync.LongWork;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
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

/// What happens when a parent arrives, before it is usable: its devices are found and identified,
/// dirty pages are scrubbed, and devices with autostart are started.
final class ParentScan {
    private final BusContext bus;
    private final ParentCloser exits;
    private final DeviceCreator starter;
    private final DeviceRemover ender;

    ParentScan(BusContext bus, ParentCloser exits, DeviceCreator starter, DeviceRemover ender) {
        this.bus = bus;
        this.exits = exits;
        this.starter = starter;
        this.ender = ender;
    }

    /// Asks for the existing devices, and reserves their pages.
    ///
    /// @throws MdevException the driver's error, EINVAL if its description is invalid
    List<ExistingDevice> inspect(Parent parent) {
        List<ExistingDevice> existing = existing(parent);
        Set<UUID> seen = new HashSet<>();
        for (ExistingDevice device : existing) {
            var _ = parent.type(device.typeId());
            if (!seen.add(device.uuid())) {
                throw new MdevException(
                        Errno.EINVAL, "two devices have the same uuid: mdev=" + device.uuid());
            }
            parent.capacity().allocateAt(device.share(), new Tenant.Device(device.uuid()));
        }
        return existing;
    }

    /// The driver's list as it is now: it is read several times, and must not change in between.
    private static List<ExistingDevice> existing(Parent parent) {
        return parent.calls()
                .call("existing", () -> List.copyOf(parent.device().existing()))
                .orThrow();
    }

    /// Makes the parent usable.
    ///
    /// @param fresh whether its pages are known to be zero, regardless of the records
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

    /// The device must not end before its events are reported.
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

    /// A device is ours if our records say that we created it, and adopted if they say so; a device
    /// that we were creating or ending at the crash is ended; any other device is foreign.
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
            // Another parent has a device with this uuid. So this one cannot be addressed: it stays
            // untouched, and keeps its pages.
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

    /// Takes over an existing device.
    private void takeOver(Parent parent, ExistingDevice device, Owner owner) {
        Mdev mdev = newMdev(parent, device);
        boolean handedOver = false;
        try {
            Adoption.ask(bus, mdev);
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
        bus.observer().event(new MdevEvent.Started(mdev, owner));
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
            Adoption.ask(bus, mdev);
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
            // It is lost, which has been reported.
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
        taken.forEach(pfns -> bus.scrubber().scrub(parent, pfns, scrubbing, _ -> {}));
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

    /// Ends the arrival of a parent, in success or failure.
    void endArrival(Parent parent) {
        exits.endUse(parent);
    }

    /// Looks for devices that other programs created or ended. A device with a running verb is left
    /// to the next time.
    ///
    /// @throws MdevException ENODEV if the parent is not usable; the driver's error; EINVAL if a
    ///   new device has pages that are in use
    void rescan(Parent parent) {
        bus.registry().use(parent);
        try {
            Look look = look(parent);
            long removals = look.removals();
            for (UUID uuid : look.changed(parent)) {
                removals += follow(parent, look, uuid, removals);
            }
            bus.registry().entriesOf(parent).forEach(this::endIfGone);
        } finally {
            exits.endUse(parent);
        }
    }

    /// Ends a device of ours that ended without us. A verb that runs on it finds out itself.
    private void endIfGone(Registry.Entry entry) {
        Mdev mdev = entry.mdev();
        if (mdev == null || entry.activity() != Activity.ACTIVE) {
            return;
        }
        try {
            if (mdev.driver().ask("isGone", MdevDevice::isGone)) {
                var _ = ender.stop(entry.uuid(), Removal.forcing(Duration.ZERO));
            }
        } catch (MdevException e) {
            bus.observer()
                    .event(
                            new MdevEvent.Reported(
                                    entry.uuid(),
                                    ReportLevel.WARNING,
                                    "not known whether it is still there: " + e));
        }
    }

    /// The known devices of a parent, and then the existing ones.
    private record Look(
            Map<UUID, Registry.Entry> known, long removals, Map<UUID, ExistingDevice> there) {
        /// The devices with differences; first those that are gone, because others may have their
        /// pages.
        Set<UUID> changed(Parent parent) {
            Set<UUID> changed = new LinkedHashSet<>();
            known.forEach((uuid, entry) -> {
                if (entry.owner() == Owner.FOREIGN && !isThere(entry)) {
                    changed.add(uuid);
                }
            });
            // A device that cannot be addressed, because another parent's has its uuid, still has
            // pages.
            Stream.of(parent.capacity().devices(), there.keySet())
                    .flatMap(Set::stream)
                    .filter(uuid -> !known.containsKey(uuid))
                    .sorted(Comparator.comparing(there::containsKey))
                    .forEach(changed::add);
            return changed;
        }

        /// Another program may have made another device of the uuid since. Where devices have
        /// pages, the new one may have those of the former, which must not be scrubbed.
        private boolean isThere(Registry.Entry entry) {
            ExistingDevice device = there.get(entry.uuid());
            return device != null
                    && (device.typeId().equals(entry.type().id()) || !entry.share().isEmpty());
        }
    }

    private Look look(Parent parent) {
        long removals = bus.registry().removals();
        Map<UUID, Registry.Entry> known = new LinkedHashMap<>();
        bus.registry().entriesOf(parent).forEach(entry -> known.put(entry.uuid(), entry));
        Map<UUID, ExistingDevice> there = new LinkedHashMap<>();
        existing(parent).forEach(device -> there.put(device.uuid(), device));
        return new Look(known, removals, there);
    }

    /// Applies a difference, if it is still true: while this holds the device's claim, no verb
    /// changes it. The driver was asked without the claim, because it may take forever.
    ///
    /// @param removals the registry's number if no other thread removed a device
    /// @return the number of removed devices
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
                ExistingDevice anew = look.there().get(uuid);
                if (anew != null) {
                    addFound(parent, anew);
                }
                return 1;
            }
            // It may have been found and removed in between.
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

    /// The device may have existed before without being addressable: then its pages are already
    /// reserved.
    private void addFound(Parent parent, ExistingDevice device) {
        var _ = parent.type(device.typeId());
        Tenant tenant = new Tenant.Device(device.uuid());
        boolean isNew = !device.share().isEmpty() && parent.capacity().pagesOf(tenant).isEmpty();
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
                .forEach(pfns -> bus.scrubber().scrub(parent, pfns, tenant, _ -> {}));
    }

    private void forgetForeign(Registry.Entry entry) {
        Parent parent = entry.parent();
        bus.scrubber().giveBack(parent, entry.share(), new Tenant.Device(entry.uuid()), _ -> {});
        var _ = bus.registry().remove(entry.uuid());
        bus.observer().event(new MdevEvent.ForeignGone(entry.uuid(), parent.name()));
    }

    /// Scrubs quarantined pages again, and frees the good ones.
    ///
    /// @throws MdevException ENODEV if the parent is not usable
    void repair(Parent parent) {
        bus.registry().use(parent);
        try {
            Tenant scrubbing = new Tenant.Scrubbing();
            LongWork work = LongWork.current();
            work.noReturn("the quarantined pages are being scrubbed");
            // Ours from here on: another repair does not find them.
            List<PfnRange> bad = parent.capacity().passAll(new Tenant.Bad(), scrubbing);
            work.begin("pages", bad.stream().mapToLong(PfnRange::npages).sum());
            for (PfnRange pfns : bad) {
                bus.ledger()
                        .markGood(
                                parent.name(),
                                List.of(ApertureRun.of(pfns, parent.aperturePfns())));
                bus.scrubber().scrub(parent, pfns, scrubbing, work::add);
            }
        } finally {
            exits.endUse(parent);
        }
    }
}
