package dev.mdev.host.mdev;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevBus;
import dev.mdev.core.device.Parent;
import dev.mdev.host.event.Event;
import dev.mdev.host.event.EventLog;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.springframework.stereotype.Service;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// What can be done with mediated devices.
///
/// All methods may be called by any thread.
@Service
public class MdevService {
    private final MdevBus bus;
    private final EventLog events;

    MdevService(MdevBus bus, EventLog events) {
        this.bus = bus;
        this.events = events;
    }

    List<Mdev> list() {
        return bus.mdevs();
    }

    /// A device by its uuid.
    ///
    /// @throws ProblemException if there is none
    public Mdev get(UUID uuid) {
        return bus.find(uuid)
                .orElseThrow(() -> ProblemException.notFound("there is no mdev=" + uuid));
    }

    /// Makes a device.
    ///
    /// @throws MdevException EEXIST if the uuid is taken, EUSERS if it does not fit
    /// @throws ProblemException if there is no such parent or type, or the driver failed
    Mdev create(UUID uuid, MdevSpec spec) {
        requireKnown(spec);
        try {
            return bus.create(uuid, spec.parent(), spec.type());
        } catch (MdevException e) {
            if (e.errno() == Errno.EEXIST || e.errno() == Errno.EUSERS) {
                throw e;
            }
            throw ProblemException.driverFailed(e);
        }
    }

    private void requireKnown(MdevSpec spec) {
        Parent parent =
                bus.parents().stream()
                        .filter(it -> it.name().equals(spec.parent()))
                        .findFirst()
                        .orElseThrow(
                                () -> invalid("/parent", "there is no parent=" + spec.parent()));
        if (parent.types().stream().noneMatch(type -> type.id().equals(spec.type()))) {
            throw invalid(
                    "/type", "parent=%s has no type=%s".formatted(spec.parent(), spec.type()));
        }
    }

    private static ProblemException invalid(String pointer, String detail) {
        return ProblemException.invalid(List.of(new Violation(pointer, detail)));
    }

    /// Makes sure that a device is there.
    ///
    /// @return the device, and whether it was made just now
    /// @throws ProblemException if there is one of another type or on another parent
    Ensured ensure(UUID uuid, MdevSpec spec) {
        try {
            return new Ensured(create(uuid, spec), true);
        } catch (MdevException e) {
            if (e.errno() != Errno.EEXIST) {
                throw e;
            }
            Mdev existing = bus.find(uuid).orElseThrow(() -> beingChanged(uuid));
            if (existing.parent().name().equals(spec.parent())
                    && existing.type().id().equals(spec.type())) {
                return new Ensured(existing, false);
            }
            throw new ProblemException(Problem.EXISTS, existing + " exists, and is different");
        }
    }

    private static ProblemException beingChanged(UUID uuid) {
        return new ProblemException(
                Problem.UNAVAILABLE, "mdev=%s is being made or removed".formatted(uuid));
    }

    /// What [#ensure] came to.
    record Ensured(Mdev mdev, boolean made) {}

    /// Ends a device. Its pages are scrubbed.
    ///
    /// @throws MdevException EBUSY if a machine has it
    void remove(UUID uuid) {
        get(uuid);
        Optional<String> trouble = bus.remove(uuid);
        trouble.ifPresent(what -> events.add(Event.Kind.DRIVER_FAILED, "mdevs/" + uuid, what));
    }

    /// Takes back what guests have mapped of a device.
    RevokeResult revoke(UUID uuid, RevokeRequest what) {
        Mdev mdev = get(uuid);
        if (what.region() == null && (what.firstPage() != null || what.pages() != null)) {
            throw invalid("/region", "pages are counted within a region");
        }
        long before = mdev.residentPages();
        if (what.region() == null) {
            for (RegionInfo region : mdev.regions()) {
                mdev.revoke(region.index(), 0, Long.MAX_VALUE);
            }
        } else {
            mdev.revoke(
                    what.region(),
                    what.firstPage() == null ? 0 : what.firstPage(),
                    what.pages() == null ? Long.MAX_VALUE : what.pages());
        }
        RevokeResult result = new RevokeResult(before, mdev.residentPages());
        events.add(Event.Kind.MDEV_REVOKED, "mdevs/" + uuid, what + " " + result);
        return result;
    }

    /// Revokes everything and puts a device into its first state.
    ///
    /// @throws ProblemException if the driver failed
    void reset(UUID uuid) {
        Mdev mdev = get(uuid);
        try {
            mdev.reset();
        } catch (MdevException e) {
            throw ProblemException.driverFailed(e);
        }
        events.add(Event.Kind.MDEV_RESET, "mdevs/" + uuid, "");
    }
}
