package dev.mdev.host.mdev;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.ParentException;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.springframework.stereotype.Service;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// The definitions of devices.
///
/// Any thread may call all methods.
@Service
class DefinitionService {
    private final MdevBus bus;

    DefinitionService(MdevBus bus) {
        this.bus = bus;
    }

    /// The result of [#define].
    ///
    /// @param now whether this call created the definition
    record Defined(MdevDefinition definition, boolean now) {}

    List<MdevDefinition> list() {
        return bus.definitions();
    }

    private Optional<MdevDefinition> find(UUID uuid) {
        return list().stream().filter(definition -> definition.uuid().equals(uuid)).findFirst();
    }

    /// A definition by its uuid.
    ///
    /// @throws ProblemException if there is none
    MdevDefinition get(UUID uuid) {
        return find(uuid)
                .orElseThrow(
                        () -> ProblemException.notFound("mdev=%s is not defined".formatted(uuid)));
    }

    /// Writes a definition; if it exists, changes its autostart. An active device of the uuid must
    /// match.
    ///
    /// @throws MdevException EEXIST if a different device has the uuid
    /// @throws ProblemException if there is a different definition, or the parent has no such type
    Defined define(UUID uuid, DefinitionSpec spec) {
        MdevDefinition wanted =
                new MdevDefinition(
                        uuid,
                        spec.parent(),
                        spec.type(),
                        spec.autostart() != null && spec.autostart());
        requireType(wanted);
        try {
            bus.define(wanted);
            return new Defined(wanted, true);
        } catch (MdevException e) {
            Optional<MdevDefinition> there = find(uuid);
            if (e.errno() != Errno.EEXIST || there.isEmpty()) {
                throw e;
            }
            return new Defined(change(there.get(), wanted), false);
        }
    }

    private MdevDefinition change(MdevDefinition there, MdevDefinition wanted) {
        if (there.equals(wanted)) {
            return there;
        }
        if (!there.withAutostart(wanted.autostart()).equals(wanted)) {
            throw new ProblemException(Problem.EXISTS, "defined, and different: " + there);
        }
        return bus.setAutostart(there.uuid(), wanted.autostart());
    }

    /// A parent that is not there may have any type when it comes.
    private void requireType(MdevDefinition wanted) {
        try {
            var _ = bus.parent(wanted.parent()).type(wanted.type());
        } catch (ParentException e) {
            if (e.reason() == ParentException.Reason.NO_SUCH_TYPE) {
                throw ProblemException.invalid(List.of(new Violation("/type", e.getMessage())));
            }
        }
    }

    /// Deletes a definition.
    ///
    /// @throws MdevException ENOENT if there is none
    void undefine(UUID uuid) {
        bus.undefine(uuid);
    }

    /// Deletes a damaged definition file.
    ///
    /// @throws MdevException ENOENT if there is no such file
    void discard(String file) {
        bus.discardQuarantined(file);
    }
}
