package dev.mdev.host.machine;

import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Subject;
import dev.mdev.host.access.Visibility;
import dev.mdev.host.label.Labels;
import dev.mdev.host.label.MergePatch;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.problem.ProblemException;

import org.springframework.stereotype.Component;

import java.util.stream.Stream;

/// The machines as clients see them, with their labels.
///
/// Any thread may call all methods.
@Component
final class MachineCatalog {
    private final MachineService machines;
    private final Visibility visibility;
    private final Labels labels;

    MachineCatalog(MachineService machines, Visibility visibility, Labels labels) {
        this.machines = machines;
        this.visibility = visibility;
        this.labels = labels;
    }

    /// The machines of this service that the caller sees.
    Stream<AnyMachine> guests() {
        Caller caller = Caller.current();
        return machines.list().stream()
                .filter(it -> visibility.seesMachine(caller, it.spec().name()))
                .map(it -> MachineView.of(it, metadata(it.spec().name())));
    }

    /// Those of other programs.
    Stream<AnyMachine> externals() {
        Caller caller = Caller.current();
        return machines.externals().stream()
                .filter(it -> visibility.seesMachine(caller, it.name()))
                .map(it -> ExternalMachineView.of(it, metadata(it.name())));
    }

    Metadata metadata(String name) {
        return labels.of(Subject.machine(name));
    }

    /// @throws ProblemException if there is none
    AnyMachine view(String name) {
        return machines.external(name)
                .<AnyMachine>map(it -> ExternalMachineView.of(it, metadata(name)))
                .orElseGet(() -> MachineView.of(machines.get(name), metadata(name)));
    }

    /// Writes what is beside a new machine. Without it, there is no machine.
    void note(String name, Metadata metadata) {
        try {
            labels.set(Subject.machine(name), metadata);
        } catch (RuntimeException e) {
            machines.delete(name);
            throw e;
        }
    }

    /// Refuses what [#patch] would refuse now.
    void checkPatch(String name, MergePatch patch) {
        view(name);
        var _ = patch.applyTo(metadata(name));
    }

    /// Changes what is written beside a machine.
    ///
    /// @throws ProblemException if there is none, or the patch is invalid
    void patch(String name, MergePatch patch) {
        view(name);
        labels.change(Subject.machine(name), patch::applyTo);
    }
}
