package dev.mdev.host.mdev;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.ParentException;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Claims;
import dev.mdev.host.access.Cost;
import dev.mdev.host.access.Subject;
import dev.mdev.host.access.Visibility;
import dev.mdev.host.label.Labels;
import dev.mdev.host.label.MergePatch;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.springframework.stereotype.Service;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// The definitions of devices.
///
/// Any thread may call all methods.
@Service
public class DefinitionService {
    private final MdevBus bus;
    private final Claims claims;
    private final Visibility visibility;
    private final Labels labels;

    DefinitionService(MdevBus bus, Claims claims, Visibility visibility, Labels labels) {
        this.bus = bus;
        this.claims = claims;
        this.visibility = visibility;
        this.labels = labels;
    }

    /// The result of [#define].
    ///
    /// @param now whether this call created the definition
    /// @param changed whether this call changed an older one
    public record Defined(MdevDefinition definition, boolean now, boolean changed) {}

    /// The definitions that the caller sees.
    List<MdevDefinition> list() {
        Caller caller = Caller.current();
        return bus.definitions().stream()
                .filter(it -> visibility.seesMdev(caller, it.uuid()))
                .toList();
    }

    private Optional<MdevDefinition> find(UUID uuid) {
        return bus.definitions().stream()
                .filter(definition -> definition.uuid().equals(uuid))
                .findFirst();
    }

    /// A definition by its uuid.
    ///
    /// @throws ProblemException if there is none
    MdevDefinition get(UUID uuid) {
        return find(uuid)
                .orElseThrow(
                        () -> ProblemException.notFound("mdev=%s is not defined".formatted(uuid)));
    }

    /// Writes a definition; if it exists, changes its autostart and attributes. An active device of
    /// the uuid must match.
    ///
    /// @throws MdevException EEXIST if a different device has the uuid
    /// @throws ProblemException if there is a different definition, or the parent has no such type
    Defined define(UUID uuid, DefinitionSpec spec) {
        Metadata metadata = spec.metadata();
        Defined defined = define(definition(uuid, spec));
        if (spec.hasMetadata()) {
            labels.set(Subject.mdev(uuid), metadata);
        }
        return defined;
    }

    /// The definition that a request asks for.
    ///
    /// @throws ProblemException if it is invalid
    public MdevDefinition definition(UUID uuid, DefinitionSpec spec) {
        return new MdevDefinition(
                uuid,
                spec.parent(),
                typeOf(spec.parent(), spec.type()),
                spec.autostart() != null && spec.autostart(),
                AttributeSpec.attributes(spec.attributes()));
    }

    /// Refuses what [#define] would refuse now.
    void check(UUID uuid, DefinitionSpec spec) {
        var _ = spec.metadata();
        check(definition(uuid, spec));
    }

    private void check(MdevDefinition wanted) {
        claims.check(
                Subject.mdev(wanted.uuid()),
                Caller.current(),
                costOf(wanted.parent(), wanted.type()));
        bus.checkDefine(wanted);
    }

    /// Refuses an import of which a file would be refused now.
    void check(List<MdevctlFile> files) {
        List<Violation> violations = new ArrayList<>();
        for (int i = 0; i < files.size(); i++) {
            try {
                check(definition(files.get(i)));
            } catch (MdevException | ProblemException e) {
                violations.add(new Violation("/files/" + i, String.valueOf(e.getMessage())));
            }
        }
        if (!violations.isEmpty()) {
            throw ProblemException.invalid(violations);
        }
    }

    /// Refuses what [#patch] would refuse now.
    void checkPatch(UUID uuid, MergePatch patch) {
        get(uuid);
        var _ = patch.applyTo(metadata(uuid));
    }

    /// Refuses what [#discard] would refuse now.
    void checkDiscard(String file) {
        if (bus.quarantined().stream().noneMatch(it -> it.file().equals(file))) {
            throw ProblemException.notFound("there is no file=" + file);
        }
    }

    /// What is written beside a definition.
    Metadata metadata(UUID uuid) {
        return labels.of(Subject.mdev(uuid));
    }

    /// Changes what is written beside it.
    ///
    /// @throws ProblemException if there is none, or the patch is invalid
    void patch(UUID uuid, MergePatch patch) {
        get(uuid);
        labels.change(Subject.mdev(uuid), patch::applyTo);
    }

    DefinitionView view(MdevDefinition definition) {
        return DefinitionView.of(definition, metadata(definition.uuid()));
    }

    /// @throws ProblemException if there is none
    DefinitionView view(UUID uuid) {
        return view(get(uuid));
    }

    /// Writes a definition. What is written beside one that is there stays.
    ///
    /// @throws MdevException as [#define(UUID, DefinitionSpec)]
    /// @throws ProblemException as [#define(UUID, DefinitionSpec)]
    public Defined define(MdevDefinition wanted) {
        UUID uuid = wanted.uuid();
        boolean isNew = bus.status(uuid).isEmpty();
        try (Claims.Making making =
                claims.claim(
                        Subject.mdev(uuid),
                        Caller.current(),
                        costOf(wanted.parent(), wanted.type()))) {
            bus.define(wanted);
            making.settle();
            if (isNew) {
                // Of something older with this uuid.
                labels.set(Subject.mdev(uuid), Metadata.NONE);
            }
            return new Defined(wanted, true, false);
        } catch (MdevException e) {
            Optional<MdevDefinition> there = find(uuid);
            if (e.errno() != Errno.EEXIST || there.isEmpty()) {
                throw e;
            }
            if (there.get().equals(wanted)) {
                return new Defined(wanted, false, false);
            }
            bus.redefine(wanted);
            return new Defined(wanted, false, true);
        }
    }

    /// Writes the definition in a file of mdevctl, as [#define] does.
    ImportView.FileView importFile(MdevctlFile file) {
        try {
            Defined defined = define(definition(file));
            return new ImportView.FileView(
                    file.path(),
                    defined.now()
                            ? ImportView.Outcome.DEFINED
                            : defined.changed()
                                    ? ImportView.Outcome.CHANGED
                                    : ImportView.Outcome.UNCHANGED,
                    null);
        } catch (MdevException | ProblemException e) {
            return new ImportView.FileView(file.path(), ImportView.Outcome.REFUSED, e.getMessage());
        }
    }

    private MdevDefinition definition(MdevctlFile file) {
        MdevctlFile.Parsed parsed = file.parse();
        return new MdevDefinition(
                parsed.uuid(),
                parsed.parent(),
                typeOf(parsed.parent(), parsed.type()),
                parsed.autostart(),
                parsed.attributes());
    }

    private Cost costOf(String parent, String type) {
        try {
            return Cost.ofDevice(bus.parent(parent).type(type));
        } catch (ParentException e) {
            return Cost.ofUnknownDevice();
        }
    }

    /// The id of a type. A parent that is not there may have any type when it comes.
    private String typeOf(String parent, String idOrName) {
        visibility.requireParent(Caller.current(), parent);
        try {
            return bus.parent(parent).type(idOrName).id();
        } catch (ParentException e) {
            if (e.reason() == ParentException.Reason.NO_SUCH_TYPE) {
                throw ProblemException.invalid(List.of(new Violation("/type", e.getMessage())));
            }
            return idOrName;
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
