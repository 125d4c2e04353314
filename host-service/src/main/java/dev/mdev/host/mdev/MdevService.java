package dev.mdev.host.mdev;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.device.ParentException;
import dev.mdev.core.driver.DriverException;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Claims;
import dev.mdev.host.access.Cost;
import dev.mdev.host.access.Subject;
import dev.mdev.host.access.Visibility;
import dev.mdev.host.event.Event;
import dev.mdev.host.event.EventLog;
import dev.mdev.host.event.Troubles;
import dev.mdev.host.label.Labels;
import dev.mdev.host.label.MergePatch;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.label.Selector;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;
import dev.mdev.host.web.Items;
import dev.mdev.host.web.Paging;

import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Service;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// The operations on mediated devices.
///
/// Any thread may call all methods.
@Service
public class MdevService {
    private final MdevBus bus;
    private final EventLog events;
    private final Claims claims;
    private final Visibility visibility;
    private final Labels labels;
    private final Troubles troubles;

    MdevService(
            MdevBus bus,
            EventLog events,
            Claims claims,
            Visibility visibility,
            Labels labels,
            Troubles troubles) {
        this.bus = bus;
        this.events = events;
        this.troubles = troubles;
        this.claims = claims;
        this.visibility = visibility;
        this.labels = labels;
    }

    /// What the caller sees: existing devices of any owner, and definitions.
    Items<MdevView> list(MdevFilter filter, Selector selector, Paging paging) {
        Caller caller = Caller.current();
        return paging.sorted(
                        bus.statuses().stream()
                                .filter(filter)
                                .filter(it -> selector.test(labels.of(Subject.mdev(it.uuid()))))
                                .filter(it -> visibility.seesMdev(caller, it)),
                        it -> it.uuid().toString())
                .map(this::view);
    }

    private MdevView view(MdevStatus status) {
        return MdevView.of(
                status,
                bus.find(status.uuid()),
                troubles.of(status.uuid()),
                kernelView(status),
                labels.of(Subject.mdev(status.uuid())));
    }

    private @Nullable KernelView kernelView(MdevStatus status) {
        return status.node().map(KernelView::of).orElse(null);
    }

    /// The known facts about a device.
    ///
    /// @throws ProblemException if it is unknown
    MdevView view(UUID uuid) {
        return view(status(uuid));
    }

    MdevStatus status(UUID uuid) {
        return bus.status(uuid)
                .orElseThrow(() -> ProblemException.notFound("there is no mdev=" + uuid));
    }

    /// A device by its uuid.
    ///
    /// @throws ProblemException if there is none, or it is not usable
    public Mdev get(UUID uuid) {
        Optional<Mdev> mdev = bus.find(uuid);
        if (mdev.isPresent()) {
            return mdev.get();
        }
        MdevStatus status = status(uuid);
        throw new ProblemException(
                Problem.WRONG_STATE,
                "mdev=%s cannot be used: activity=%s owner=%s%s"
                        .formatted(
                                uuid,
                                status.activity(),
                                status.owner(),
                                status.trouble().map(what -> ", " + what).orElse("")));
    }

    /// Makes a device.
    ///
    /// @throws MdevException EEXIST if the uuid is in use, EUSERS if it does not fit
    /// @throws ProblemException if there is no such parent or type, the parent is leaving, or the
    ///   driver failed
    public MdevView create(UUID uuid, MdevSpec spec) {
        try {
            Wish wish = wish(uuid, spec);
            try (Claims.Making making = claims.claim(wish.subject(), wish.caller(), wish.cost())) {
                Mdev made =
                        spec.persists()
                                ? bus.create(wish.definition())
                                : bus.create(
                                        uuid, spec.parent(), wish.type().id(), wish.attributes());
                making.settle();
                note(made.uuid(), wish.metadata());
                return view(made.uuid());
            }
        } catch (ParentException e) {
            throw meaningOf(e);
        }
    }

    /// Refuses what [#create] would refuse now, as far as the host knows that without the driver.
    void checkCreate(UUID uuid, MdevSpec spec) {
        try {
            Wish wish = wish(uuid, spec);
            claims.check(wish.subject(), wish.caller(), wish.cost());
            bus.checkCreate(uuid, spec.parent(), wish.type().id(), wish.attributes());
            if (spec.persists()) {
                bus.checkDefine(wish.definition());
            }
        } catch (ParentException e) {
            throw meaningOf(e);
        }
    }

    /// A device that a caller asks for, whose parts are valid.
    private record Wish(
            UUID uuid,
            Caller caller,
            MdevSpec spec,
            MdevType type,
            List<Attribute> attributes,
            Metadata metadata) {
        Subject subject() {
            return Subject.mdev(uuid);
        }

        Cost cost() {
            return Cost.ofDevice(type);
        }

        MdevDefinition definition() {
            return new MdevDefinition(
                    uuid, spec.parent(), type.id(), spec.autostarts(), attributes);
        }
    }

    private Wish wish(UUID uuid, MdevSpec spec) {
        Caller caller = Caller.current();
        visibility.requireParent(caller, spec.parent());
        MdevType type = bus.parent(spec.parent()).type(spec.type());
        spec.requireSense();
        return new Wish(
                uuid,
                caller,
                spec,
                type,
                AttributeSpec.attributes(spec.attributes()),
                spec.metadata());
    }

    private static RuntimeException meaningOf(ParentException e) {
        return switch (e.reason()) {
            case NO_SUCH_PARENT -> invalid("/parent", e.getMessage());
            case NO_SUCH_TYPE -> invalid("/type", e.getMessage());
            case NOT_PRESENT -> e;
        };
    }

    /// Makes a device for a state that will be restored into it, on a parent that the caller sees.
    ///
    /// @param driver the driver's name
    /// @param typeId the type's id
    /// @param parentName null for any parent with the driver and the type
    /// @throws MdevException EINVAL if there is no such parent; EEXIST if the uuid is in use,
    ///   EUSERS if the device does not fit
    public Mdev createForState(
            UUID uuid, String driver, String typeId, @Nullable String parentName) {
        Caller caller = Caller.current();
        List<Parent> parents =
                bus.parents().stream()
                        .filter(it -> it.driverName().equals(driver))
                        .filter(it -> parentName == null || it.name().equals(parentName))
                        .filter(it -> visibility.seesParent(caller, it.name()))
                        .filter(it -> it.types().stream().anyMatch(t -> t.id().equals(typeId)))
                        .toList();
        if (parents.isEmpty()) {
            throw new MdevException(
                    Errno.EINVAL,
                    "no parent%s has driver=%s type=%s"
                            .formatted(parentName == null ? "" : "=" + parentName, driver, typeId));
        }
        Parent parent =
                parents.stream()
                        .filter(it -> bus.available(it, it.type(typeId)) > 0)
                        .findFirst()
                        .orElse(parents.getFirst());
        MdevType type = parent.type(typeId);
        try (Claims.Making making = claims.claim(Subject.mdev(uuid), caller, Cost.ofDevice(type))) {
            Mdev made = bus.create(uuid, parent.name(), type.id());
            making.settle();
            note(uuid, Metadata.NONE);
            return made;
        }
    }

    /// A new device has no labels of an older one. Without its labels there is no device.
    private void note(UUID uuid, Metadata metadata) {
        try {
            labels.set(Subject.mdev(uuid), metadata);
        } catch (MdevException e) {
            bus.remove(uuid);
            throw e;
        }
    }

    /// Changes what is written beside a device or its definition.
    ///
    /// @throws ProblemException if it is unknown, or the patch invalid
    void patch(UUID uuid, MergePatch patch) {
        status(uuid);
        labels.change(Subject.mdev(uuid), patch::applyTo);
    }

    private static ProblemException invalid(String pointer, String detail) {
        return ProblemException.invalid(List.of(new Violation(pointer, detail)));
    }

    /// Ensures that a device exists, and is defined if requested. An additional definition is no
    /// conflict.
    ///
    /// @return the device, and whether this call created it
    /// @throws ProblemException if there is one of another type or on another parent, or it is
    ///   defined and not active, or another request is creating or ending it now
    Ensured ensure(UUID uuid, MdevSpec spec) {
        try {
            return new Ensured(create(uuid, spec), true);
        } catch (MdevException e) {
            if (e.errno() != Errno.EEXIST || e instanceof DriverException) {
                throw e;
            }
            MdevStatus there = requireSame(uuid, spec);
            if (spec.persists()) {
                persist(there, spec.autostarts());
            }
            if (spec.hasMetadata()) {
                labels.set(Subject.mdev(uuid), spec.metadata());
            }
            return new Ensured(view(uuid), false);
        }
    }

    /// Refuses what [#ensure] would refuse now, as far as the host knows that without the driver.
    void checkEnsure(UUID uuid, MdevSpec spec) {
        try {
            checkCreate(uuid, spec);
        } catch (MdevException e) {
            if (e.errno() != Errno.EEXIST) {
                throw e;
            }
            var _ = requireSame(uuid, spec);
        }
    }

    private MdevStatus requireSame(UUID uuid, MdevSpec spec) {
        MdevStatus there = bus.status(uuid).orElseThrow(() -> beingChanged(uuid));
        if (!isSame(there, spec)) {
            throw new ProblemException(
                    Problem.EXISTS,
                    "mdev=%s exists, and is different: parent=%s type=%s"
                            .formatted(uuid, there.parent(), there.type()));
        }
        requireSettled(there);
        get(uuid);
        return there;
    }

    /// Ensures that a device is defined, and whether it starts by itself.
    ///
    /// @throws MdevException ENODEV if it is not active, EPERM if it is foreign
    /// @throws ProblemException if it is unknown
    public void persist(UUID uuid, boolean autostart) {
        persist(status(uuid), autostart);
    }

    private void persist(MdevStatus there, boolean autostart) {
        Optional<MdevDefinition> definition = there.definition();
        if (definition.isEmpty()) {
            bus.promote(there.uuid(), autostart);
        } else if (definition.get().autostart() != autostart) {
            bus.redefine(definition.get().withAutostart(autostart));
        }
    }

    /// Whether a device, or a definition, has the parent and the type that a request names.
    public boolean isSame(MdevStatus there, MdevSpec spec) {
        return there.parent().equals(spec.parent()) && isType(there, spec);
    }

    /// A request may name a type by its name.
    private boolean isType(MdevStatus there, MdevSpec spec) {
        return there.type().equals(spec.type())
                || there.type().equals(bus.parent(spec.parent()).type(spec.type()).id());
    }

    static void requireSettled(MdevStatus there) {
        switch (there.activity()) {
            case STARTING, STOPPING -> throw beingChanged(there.uuid());
            case INACTIVE, ACTIVE, LOST -> {}
        }
    }

    private static ProblemException beingChanged(UUID uuid) {
        return new ProblemException(
                Problem.UNAVAILABLE, "mdev=%s is being created or removed".formatted(uuid));
    }

    /// The result of [#ensure].
    record Ensured(MdevView mdev, boolean made) {}

    /// Starts a defined device.
    ///
    /// @throws MdevException ENOENT if it is not defined, EEXIST if it is active, EUSERS if it does
    ///   not fit
    /// @throws ProblemException if its parent is not there or leaving, or the driver fails
    public MdevView start(UUID uuid) {
        try (Claims.Making making =
                claims.claim(Subject.mdev(uuid), Caller.current(), costOf(uuid))) {
            bus.start(uuid);
            making.settle();
        } catch (ParentException e) {
            // The path is right: what the definition names is not there now.
            throw ProblemException.wrongState(e);
        }
        return view(uuid);
    }

    Cost costOf(UUID uuid) {
        MdevStatus status = status(uuid);
        return Cost.ofDevice(bus.parent(status.parent()).type(status.type()));
    }

    /// Ends a device; its definition stays. The host scrubs its pages.
    ///
    /// @throws MdevException EBUSY if it has a holder, ETIMEDOUT if its driver does not let go
    RemovalView stop(UUID uuid, RemovalRequest how) {
        status(uuid);
        return RemovalView.of(uuid, bus.stop(uuid, how.removal()));
    }

    /// Ends a device and deletes its definition. The host scrubs its pages.
    ///
    /// @throws MdevException EBUSY if it has a holder, ETIMEDOUT if its driver does not let go
    public RemovalView remove(UUID uuid, RemovalRequest how) {
        status(uuid);
        return RemovalView.of(uuid, bus.remove(uuid, how.removal()));
    }

    /// Adopts a foreign device.
    ///
    /// @throws MdevException EPERM if it is not foreign
    /// @throws ProblemException if its parent is leaving, or the driver fails
    MdevView adopt(UUID uuid) {
        status(uuid);
        bus.adopt(uuid);
        return view(uuid);
    }

    /// Revokes the guests' mappings of a device.
    RevokeResult revoke(UUID uuid, RevokeRequest what) {
        Mdev mdev = checkRevoke(uuid, what);
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

    /// Refuses what [#revoke] would refuse now.
    Mdev checkRevoke(UUID uuid, RevokeRequest what) {
        Mdev mdev = get(uuid);
        if (what.region() == null && (what.firstPage() != null || what.pages() != null)) {
            throw invalid("/region", "pages are counted within a region");
        }
        if (what.region() != null) {
            var _ = mdev.region(what.region());
        }
        return mdev;
    }

    /// Revokes everything and resets a device. A machine that has it sets it up again, so that its
    /// BARs keep their addresses.
    ///
    /// @throws MdevException EAGAIN if another verb is running on it
    /// @throws ProblemException if the driver failed
    void reset(UUID uuid) {
        Mdev mdev = get(uuid);
        bus.reset(uuid);
        troubles.wasReset(mdev);
        mdev.runFirmware();
        events.add(Event.Kind.MDEV_RESET, "mdevs/" + uuid, "by=operator");
    }
}
