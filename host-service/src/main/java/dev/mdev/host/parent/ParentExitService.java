package dev.mdev.host.parent;

import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.bus.Removal;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.store.StoreException;
import dev.mdev.host.mdev.RemovalRequest;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.springframework.stereotype.Service;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/// Removes parents.
@Service
class ParentExitService {
    private final MdevBus bus;

    ParentExitService(MdevBus bus) {
        this.bus = bus;
    }

    /// Removes a parent: ends its devices, and lets its driver close it. Definitions stay.
    ///
    /// @throws MdevException ENODEV if there is none; EBUSY if one of its devices has a holder and
    ///   no grace time was given; EAGAIN if it is arriving; ETIMEDOUT, or the state files' error,
    ///   if it does not leave: it is leaving then, and the same call tries again
    /// @throws ProblemException if the request is invalid
    ParentExitView remove(String name, RemovalRequest request) {
        Removal how = removal(request);
        String parent = bus.parent(name).name();
        List<MdevStatus> devices = devicesOf(parent);
        try {
            if (request.grace() == null) {
                bus.removeUnusedParent(parent);
            } else {
                bus.removeParent(parent, how.grace());
            }
        } catch (MdevException e) {
            throw withReasons(e);
        }
        return new ParentExitView(parent, devices.stream().map(ParentExitView.Ended::of).toList());
    }

    /// Refuses what [#remove] would refuse now.
    ///
    /// @throws ProblemException as that
    void check(String name, RemovalRequest request) {
        var _ = removal(request);
        Parent parent = bus.parent(name);
        if (parent.presence() == Parent.Presence.ARRIVING) {
            throw new ProblemException(
                    Problem.UNAVAILABLE, "parent=%s is arriving".formatted(name));
        }
        List<String> held =
                devicesOf(name).stream()
                        .flatMap(it ->
                                it.holder().stream()
                                        .map(who -> "mdev=%s to %s".formatted(it.uuid(), who)))
                        .toList();
        if (request.grace() == null && !held.isEmpty()) {
            throw new ProblemException(
                    Problem.BUSY, "devices are assigned: " + String.join(", ", held));
        }
    }

    private static Removal removal(RemovalRequest request) {
        Removal how = request.removal();
        if (request.grace() != null && !how.force()) {
            throw ProblemException.invalid(
                    List.of(
                            new Violation(
                                    "", "a parent that leaves takes its devices along by force")));
        }
        return how;
    }

    private List<MdevStatus> devicesOf(String parent) {
        return bus.statuses().stream()
                .filter(it -> it.parent().equals(parent))
                .filter(it -> it.activity() != Activity.INACTIVE)
                .filter(it -> it.owner() != Owner.FOREIGN)
                .toList();
    }

    /// The reason why the parent does not leave: what kept each device from ending.
    private static MdevException withReasons(MdevException e) {
        if (e.getSuppressed().length == 0) {
            return e;
        }
        String message =
                Arrays.stream(e.getSuppressed())
                        .map(Throwable::getMessage)
                        .collect(Collectors.joining("; ", e.getMessage() + ": ", ""));
        return Arrays.stream(e.getSuppressed())
                .filter(StoreException.class::isInstance)
                .map(StoreException.class::cast)
                .findFirst()
                .<MdevException>map(store -> new StoreException(store.errno(), message, e))
                .orElseGet(() -> new MdevException(e.errno(), message, e));
    }
}
