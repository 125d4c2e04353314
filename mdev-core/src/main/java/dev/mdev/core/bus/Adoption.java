package dev.mdev.core.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.PoolRuns;
import dev.mdev.core.ledger.Subject;
import dev.mdev.core.ledger.Verb;

import java.util.List;
import java.util.UUID;

/// Adopts devices that another program created.
///
/// ```
/// begin                                  durable; from here on a crash leaves what the driver says
/// the device counts as one of ours       in memory: its parent does not go without it
/// ParentDevice.adopt, MdevDevice.regions
/// commit                                 durable
/// the device can be found
/// ```
final class Adoption {
    private final BusContext bus;
    private final ParentCloser exits;

    Adoption(BusContext bus, ParentCloser exits) {
        this.bus = bus;
        this.exits = exits;
    }

    /// Lets the driver hand over a device that existed before this process.
    ///
    /// @throws MdevException the driver's error
    static void ask(BusContext bus, Mdev mdev) {
        Parent parent = mdev.parent();
        requireFixed(mdev);
        MdevContext context = bus.context(mdev, List.of());
        mdev.driver()
                .own(parent.calls().call("adopt", () -> parent.device().adopt(context)).orThrow());
        bus.bind(mdev);
    }

    /// Which page of an elastic share is where, only this process knew.
    private static void requireFixed(Mdev mdev) {
        if (mdev.type().demands().stream().anyMatch(MdevType.Demand::isElastic)) {
            throw new MdevException(
                    Errno.EOPNOTSUPP,
                    "a device with an elastic share does not outlive its process: " + mdev);
        }
    }

    /// Adopts a foreign device for the operator.
    ///
    /// @throws MdevException ENODEV if there is no such device, or its parent is leaving; EPERM if
    ///   it is not foreign; otherwise the driver's error, and the device is still foreign
    Mdev adopt(UUID uuid) {
        try (VerbLocks.Claim _ = bus.claims().claim(uuid, "adopted", Errno.EAGAIN)) {
            Registry.Entry foreign = foreign(uuid);
            long op = bus.ledger().begin(Verb.ADOPT, subject(foreign));
            Mdev mdev = bus.newMdev(uuid, foreign.parent(), foreign.type(), foreign.share());
            mdev.markTakenOver();
            try {
                bus.registry().beginAdoption(mdev);
                ask(bus, mdev);
                bus.ledger().commit(op);
            } catch (RuntimeException | Error e) {
                bus.watch().remove(mdev.calls());
                bus.ledger().end(op, false);
                bus.registry().cancelAdoption(mdev, foreign);
                exits.closeIfReady(mdev.parent());
                throw e;
            }
            activate(mdev);
            return mdev;
        }
    }

    private Registry.Entry foreign(UUID uuid) {
        Registry.Entry entry =
                bus.registry()
                        .find(uuid)
                        .orElseThrow(() -> new MdevException(Errno.ENODEV, "mdev=" + uuid));
        if (entry.owner() != Owner.FOREIGN) {
            throw new MdevException(
                    Errno.EPERM, "mdev=%s is not foreign: %s".formatted(uuid, entry.owner()));
        }
        return entry;
    }

    private static Subject subject(Registry.Entry entry) {
        Parent parent = entry.parent();
        return new Subject(
                entry.uuid(),
                parent.name(),
                entry.type().id(),
                Owner.ADOPTED,
                PoolRuns.of(entry.share(), parent.aperturePfns()));
    }

    private void activate(Mdev mdev) {
        try {
            bus.registry().activate(mdev, Owner.ADOPTED);
        } catch (MdevException e) {
            // The parent is leaving, and its removal could not see the device during the adoption.
            end(mdev, e);
            throw e;
        }
        bus.observer().event(new MdevEvent.Started(mdev, Owner.ADOPTED));
    }

    private void end(Mdev mdev, MdevException because) {
        try {
            var _ =
                    DeviceTeardown.prepare(bus, exits, mdev)
                            .begin(null, _ -> bus.ledger().gone(mdev.parent().name(), mdev.uuid()))
                            .await();
        } catch (MdevException e) {
            because.addSuppressed(e);
        } catch (RuntimeException | Error e) {
            // There is no thread to end it: it is lost until the host restarts.
            because.addSuppressed(e);
            mdev.revokeForGood();
            var _ = DeviceTeardown.markLost(bus, mdev, "failed to end: " + e);
        }
    }
}
