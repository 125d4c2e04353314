package dev.mdev.host.event;

import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.mapping.FaultRecord;

import org.springframework.stereotype.Component;

import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/// The troubles of devices that last, until they are over. Events are forgotten: without this, a
/// device with a trouble would seem well to an operator some time later.
///
/// - `start_failed`: until the device starts, is no longer to start by itself, or its parent
///   leaves;
/// - `restore_failed`: until a state is restored, or the device is reset or ends;
/// - `grant_refused` and `driver_failed`: until the driver answers well for the same pages, or the
///   device is reset or ends.
///
/// What the bus itself knows lasts there: lost devices, callbacks that are overdue, the journal,
/// damaged definitions.
///
/// Any thread may call all methods.
@Component
public final class Troubles implements MdevObserver {
    /// The kinds of troubles.
    public static final List<Event.Kind> KINDS =
            List.of(
                    Event.Kind.START_FAILED,
                    Event.Kind.RESTORE_FAILED,
                    Event.Kind.GRANT_REFUSED,
                    Event.Kind.DRIVER_FAILED);

    private static final Comparator<Trouble> ORDER =
            Comparator.comparing((Trouble it) -> it.mdev().toString()).thenComparing(Trouble::kind);

    /// Of devices that are active and not taken away.
    private final Map<UUID, Live> devices = new ConcurrentHashMap<>();

    /// Of verbs of the host.
    private final Map<Failed, Trouble> verbs = new ConcurrentHashMap<>();

    private record Failed(UUID mdev, Event.Kind kind) {}

    private record Live(Mdev mdev, BadAnswers answers) {}

    /// Those of all devices, by uuid.
    public List<Trouble> all() {
        return Stream.concat(
                        verbs.values().stream(),
                        devices.values().stream().flatMap(it -> it.answers.troubles().stream()))
                .sorted(ORDER)
                .toList();
    }

    /// Those of one device.
    public List<Trouble> of(UUID mdev) {
        return Stream.concat(
                        KINDS.stream()
                                .flatMap(kind ->
                                        Stream.ofNullable(verbs.get(new Failed(mdev, kind)))),
                        Stream.ofNullable(devices.get(mdev))
                                .flatMap(it -> it.answers.troubles().stream()))
                .sorted(ORDER)
                .toList();
    }

    /// The number of devices with a kind of trouble.
    public long count(Event.Kind kind) {
        return all().stream().filter(it -> it.kind() == kind).count();
    }

    /// An operator reset a device.
    public void wasReset(Mdev mdev) {
        over(mdev.uuid(), Event.Kind.RESTORE_FAILED);
        Live live = devices.get(mdev.uuid());
        if (live != null && live.mdev == mdev) {
            live.answers.clear();
        }
    }

    @Override
    public void resetByGuest(Mdev mdev) {
        wasReset(mdev);
    }

    @Override
    public void faulted(Mdev mdev, FaultRecord fault) {
        Live live = devices.get(mdev.uuid());
        if (live == null || live.mdev != mdev) {
            return;
        }
        switch (fault.outcome()) {
            case REFUSED -> live.answers.add(Event.Kind.GRANT_REFUSED, fault);
            case FAILED -> live.answers.add(Event.Kind.DRIVER_FAILED, fault);
            case GRANTED, TRAPPED, DENIED -> live.answers.remove(fault);
        }
    }

    @Override
    public void event(MdevEvent event) {
        MdevEvent.Fact fact = event.fact();
        if (fact instanceof MdevEvent.Started(Mdev mdev, _)) {
            over(mdev.uuid(), Event.Kind.START_FAILED);
            devices.put(mdev.uuid(), new Live(mdev, new BadAnswers(mdev.uuid())));
        } else if (fact instanceof MdevEvent.Stopped(Mdev mdev, _)) {
            over(mdev.uuid(), Event.Kind.RESTORE_FAILED);
            devices.computeIfPresent(mdev.uuid(), (_, it) -> it.mdev == mdev ? null : it);
        } else if (fact instanceof MdevEvent.Revoked(UUID mdev, _)) {
            devices.remove(mdev);
        } else if (fact instanceof MdevEvent.StartFailed(UUID mdev, String parent, String reason)) {
            put(mdev, Event.Kind.START_FAILED, ofParent(parent) + reason);
        } else if (fact instanceof MdevEvent.ParentLeft(String parent, _)) {
            // It is tried again when the parent comes back.
            String prefix = ofParent(parent);
            verbs.values()
                    .removeIf(it ->
                            it.kind() == Event.Kind.START_FAILED && it.detail().startsWith(prefix));
        } else if (fact instanceof MdevEvent.Undefined(UUID mdev)) {
            over(mdev, Event.Kind.START_FAILED);
        } else if (fact instanceof MdevEvent.Defined(var definition) && !definition.autostart()) {
            over(definition.uuid(), Event.Kind.START_FAILED);
        } else if (fact instanceof MdevEvent.RestoreFailed(UUID mdev, String reason)) {
            put(mdev, Event.Kind.RESTORE_FAILED, reason);
        } else if (fact instanceof MdevEvent.StateRestored(UUID mdev, _)) {
            over(mdev, Event.Kind.RESTORE_FAILED);
        }
    }

    /// The beginning of the detail of a failed start.
    private static String ofParent(String parent) {
        return "parent=%s ".formatted(parent);
    }

    /// It lasts since it first came.
    private void put(UUID mdev, Event.Kind kind, String detail) {
        verbs.merge(
                new Failed(mdev, kind),
                new Trouble(mdev, kind, Instant.now(), detail),
                (old, now) -> new Trouble(mdev, kind, old.since(), now.detail()));
    }

    private void over(UUID mdev, Event.Kind kind) {
        verbs.remove(new Failed(mdev, kind));
    }
}
