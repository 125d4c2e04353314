package dev.mdev.host.mdev;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.ParentException;
import dev.mdev.core.ledger.Owner;
import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Claims;
import dev.mdev.host.access.Subject;
import dev.mdev.host.label.Labels;
import dev.mdev.host.label.MergePatch;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.springframework.stereotype.Component;

import java.util.UUID;

/// Dry runs of the verbs on existing devices: refusals without effects.
///
/// Any thread may call all methods.
@Component
final class MdevRehearsal {
    private final MdevBus bus;
    private final MdevService mdevs;
    private final Claims claims;
    private final Labels labels;

    MdevRehearsal(MdevBus bus, MdevService mdevs, Claims claims, Labels labels) {
        this.bus = bus;
        this.mdevs = mdevs;
        this.claims = claims;
        this.labels = labels;
    }

    /// Refuses what [MdevService#start] would refuse now, as far as the host knows that without the
    /// driver.
    void start(UUID uuid) {
        try {
            claims.check(Subject.mdev(uuid), Caller.current(), mdevs.costOf(uuid));
            bus.checkStart(uuid);
        } catch (ParentException e) {
            throw ProblemException.wrongState(e);
        }
    }

    /// Refuses what [MdevService#stop] and [MdevService#remove] would refuse now. A holder that has
    /// time may let go.
    ///
    /// @param needsDevice whether a definition alone is not enough
    void end(UUID uuid, RemovalRequest how, boolean needsDevice) {
        var _ = how.removal();
        MdevStatus there = mdevs.status(uuid);
        if (there.owner() == Owner.FOREIGN) {
            throw new ProblemException(
                    Problem.DENIED, "mdev=%s is foreign: adopt it first".formatted(uuid));
        }
        MdevService.requireSettled(there);
        if (there.activity() == Activity.INACTIVE && needsDevice) {
            throw ProblemException.notFound("mdev=%s is not active".formatted(uuid));
        }
        if (there.activity() == Activity.LOST) {
            throw new ProblemException(
                    Problem.BUSY,
                    "mdev=%s is lost: %s".formatted(uuid, there.trouble().orElse("")));
        }
        if (there.holder().isPresent() && how.grace() == null) {
            throw new ProblemException(
                    Problem.BUSY,
                    "mdev=%s is assigned to %s".formatted(uuid, there.holder().get()));
        }
    }

    /// Refuses what [MdevService#adopt] would refuse now, as far as the host knows that without the
    /// driver.
    void adopt(UUID uuid) {
        if (mdevs.status(uuid).owner() != Owner.FOREIGN) {
            throw new ProblemException(Problem.DENIED, "mdev=%s is not foreign".formatted(uuid));
        }
    }

    /// Refuses what [MdevService#patch] would refuse now.
    void patch(UUID uuid, MergePatch patch) {
        mdevs.status(uuid);
        var _ = patch.applyTo(labels.of(Subject.mdev(uuid)));
    }
}
