package dev.mdev.host.access;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.stereotype.Component;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// What callers see. What a caller does not see does not exist for it: its requests are answered
/// with `not-found`, and no list has it.
///
/// Any thread may call all methods.
@Component
public final class Visibility {
    private final MdevBus bus;
    private final Claims claims;
    private final ObjectProvider<Undertakings> undertakings;

    Visibility(MdevBus bus, Claims claims, ObjectProvider<Undertakings> undertakings) {
        this.undertakings = undertakings;
        this.bus = bus;
        this.claims = claims;
    }

    /// Whether a caller sees a parent.
    public boolean seesParent(Caller caller, String name) {
        return caller.reach().hasParent(name);
    }

    /// Refuses a parent that the caller does not see, as one that does not exist.
    ///
    /// @throws ProblemException if so
    public void requireParent(Caller caller, String name) {
        if (!seesParent(caller, name)) {
            throw ProblemException.invalid(
                    List.of(new Violation("/parent", "there is no parent=" + name)));
        }
    }

    /// Whether a caller sees a machine.
    public boolean seesMachine(Caller caller, String name) {
        return caller.reach().hasMachine(name) && isOwn(caller, Subject.machine(name));
    }

    /// Refuses a name for a new machine that its maker would not see.
    ///
    /// @throws ProblemException if so
    public void requireMachineName(Caller caller, String name) {
        if (!caller.reach().hasMachine(name)) {
            throw new ProblemException(
                    Problem.DENIED,
                    "caller=%s makes only the machines %s"
                            .formatted(
                                    caller.name(),
                                    caller.reach().machines().stream().sorted().toList()));
        }
    }

    /// Whether a caller sees a device, or its definition. A device that nobody holds is seen by
    /// callers of any machine.
    public boolean seesMdev(Caller caller, UUID uuid) {
        if (caller.reach().isEverything()) {
            return true;
        }
        Optional<MdevStatus> status = bus.status(uuid);
        // What is not there can be made.
        return status.map(it -> seesMdev(caller, it)).orElse(true);
    }

    /// Whether a caller sees a device, or its definition.
    public boolean seesMdev(Caller caller, MdevStatus status) {
        Reach reach = caller.reach();
        return reach.isEverything()
                || (reach.hasParent(status.parent())
                        && isOfItsMachines(reach, status)
                        && isOwn(caller, Subject.mdev(status.uuid())));
    }

    /// Programs outside this service, which use devices of the kernel, are no machines.
    private static boolean isOfItsMachines(Reach reach, MdevStatus status) {
        return status.node().isPresent() || status.holder().map(reach::hasMachine).orElse(true);
    }

    private boolean isOwn(Caller caller, Subject subject) {
        String tenant = caller.reach().tenant();
        return tenant == null || claims.tenantOf(subject).filter(tenant::equals).isPresent();
    }

    /// Whether a caller sees an event by its subject: `mdevs/UUID`, `machines/NAME`,
    /// `parents/NAME`, `operations/ID`; those about other subjects are for callers who see
    /// everything.
    public boolean seesSubject(Caller caller, String subject) {
        if (caller.reach().isEverything()) {
            return true;
        }
        int slash = subject.indexOf('/');
        String kind = slash < 0 ? subject : subject.substring(0, slash);
        String name = subject.substring(slash + 1);
        return switch (kind) {
            case "parents" -> seesParent(caller, name);
            case "machines" -> seesMachine(caller, name);
            case "mdevs" -> seesEventOf(caller, UUID.fromString(name));
            case "operations" -> seesOperation(caller, name);
            default -> false;
        };
    }

    /// Of an operation that is forgotten, nobody knows whose it was.
    private boolean seesOperation(Caller caller, String id) {
        return undertakings.stream()
                .flatMap(it -> it.startedBy(id).stream())
                .anyMatch(caller::seesWorkOf);
    }

    /// A device that has ended is on no parent any more.
    private boolean seesEventOf(Caller caller, UUID uuid) {
        return bus.status(uuid)
                .map(it -> seesMdev(caller, it))
                .orElseGet(() ->
                        caller.reach().parents().isEmpty()
                                && caller.reach().machines().isEmpty()
                                && isOwn(caller, Subject.mdev(uuid)));
    }
}
