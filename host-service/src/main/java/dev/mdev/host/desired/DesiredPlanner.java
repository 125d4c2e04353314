package dev.mdev.host.desired;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.host.access.AuditTrail.Call;
import dev.mdev.host.access.Subject;
import dev.mdev.host.machine.MachineVerbs;
import dev.mdev.host.machine.NewMachine;
import dev.mdev.host.mdev.DefinitionService;
import dev.mdev.host.mdev.DefinitionSpec;
import dev.mdev.host.mdev.MdevService;
import dev.mdev.host.mdev.MdevSpec;
import dev.mdev.host.mdev.RemovalRequest;
import dev.mdev.host.problem.Problem;

import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/// Compares a document with what is. Each step is a verb that there is anyway; a step that was done
/// is no difference any more, so that a document can be applied again after any failure.
///
/// Any thread may call all methods.
@Component
class DesiredPlanner {
    private static final RemovalRequest IF_UNUSED = new RemovalRequest(null, null);

    private final MdevBus bus;
    private final MdevService mdevs;
    private final DefinitionService definitions;
    private final MachineVerbs machines;
    private final Management management;

    DesiredPlanner(
            MdevBus bus,
            MdevService mdevs,
            DefinitionService definitions,
            MachineVerbs machines,
            Management management) {
        this.bus = bus;
        this.mdevs = mdevs;
        this.definitions = definitions;
        this.machines = machines;
        this.management = management;
    }

    /// The steps: what goes makes room for what comes.
    List<Planned> plan(DesiredState wanted) {
        return new Planning(wanted).steps();
    }

    /// The making of one plan. One thread.
    private final class Planning {
        private final DesiredState wanted;
        private final String manager;
        private final Map<UUID, DefinitionSpec> defined;
        private final Map<UUID, MdevStatus> devices = new LinkedHashMap<>();

        /// The devices that no machine has after the steps so far.
        private final Set<UUID> freed = new HashSet<>();

        private final Set<Subject> conflicting = new HashSet<>();
        private final List<Planned> steps = new ArrayList<>();

        Planning(DesiredState wanted) {
            this.wanted = wanted;
            this.manager = wanted.manager();
            this.defined = wanted.allDefinitions();
            bus.statuses().forEach(it -> devices.putIfAbsent(it.uuid(), it));
        }

        List<Planned> steps() {
            if (wanted.prunes()) {
                addDetachments();
                addMachineRemovals();
                addDeviceRemovals();
            }
            defined.forEach(this::addDefinition);
            wanted.allMdevs().forEach(this::addMdev);
            wanted.allMachines().forEach(this::addMachine);
            wanted.allAttachments()
                    .forEach((machine, uuids) ->
                            uuids.forEach(uuid -> addAttachment(machine, uuid)));
            return steps;
        }

        /// What cannot be compared is a conflict: the rest of the document counts.
        private void compare(Subject subject, Runnable comparison) {
            Refusal.of(comparison).ifPresent(why -> addConflict(subject, why));
        }

        private void addConflict(Subject subject, Problem problem, String why) {
            addConflict(subject, new Refusal(problem, why));
        }

        private void addConflict(Subject subject, Refusal why) {
            conflicting.add(subject);
            steps.add(Planned.conflict(subject, why));
        }

        /// A machine and a device of this manager are apart, unless the document joins them.
        private void addDetachments() {
            Set<String> stay = wanted.machineNames();
            Map<String, List<UUID>> attachments = wanted.allAttachments();
            for (MdevStatus it : devices.values()) {
                String machine = machineOf(it);
                boolean isJoined = attachments.getOrDefault(machine, List.of()).contains(it.uuid());
                if (stay.contains(machine)
                        && !isJoined
                        && management.isManaged(manager, Subject.machine(machine))
                        && management.isManaged(manager, Subject.mdev(it.uuid()))) {
                    freed.add(it.uuid());
                    add(
                            Step.Action.DETACH,
                            Subject.mdev(it.uuid()),
                            "machine=" + machine,
                            Call.of("DELETE", pathOf(machine, it.uuid())),
                            () -> machines.detach(machine, it.uuid()));
                }
            }
        }

        private void addMachineRemovals() {
            Set<String> stay = wanted.machineNames();
            for (String name : machines.names()) {
                if (!stay.contains(name)
                        && addRemoval(Subject.machine(name), "", () -> machines.delete(name))) {
                    devices.values().stream()
                            .filter(it -> machineOf(it).equals(name))
                            .forEach(it -> freed.add(it.uuid()));
                }
            }
        }

        /// A device that is in use stays, and so do those of other programs.
        private void addDeviceRemovals() {
            Set<UUID> stay = wanted.uuids();
            for (MdevStatus it : devices.values()) {
                if (!stay.contains(it.uuid()) && it.owner() != Owner.FOREIGN) {
                    addRemoval(
                            Subject.mdev(it.uuid()),
                            words(it.parent(), it.type()),
                            () -> {
                                var _ = mdevs.remove(it.uuid(), IF_UNUSED);
                            });
                }
            }
        }

        /// Somebody may take the label away before the step is done.
        private boolean addRemoval(Subject subject, String detail, Runnable removal) {
            if (!management.isManaged(manager, subject)) {
                return false;
            }
            add(
                    Step.Action.REMOVE,
                    subject,
                    detail,
                    Call.of("DELETE", subject.toString()),
                    () -> {
                        management.requireManaged(manager, subject);
                        removal.run();
                    });
            return true;
        }

        private void addDefinition(UUID uuid, DefinitionSpec spec) {
            Subject subject = Subject.mdev(uuid);
            compare(subject, () -> compareDefinition(subject, uuid, spec));
        }

        private void compareDefinition(Subject subject, UUID uuid, DefinitionSpec spec) {
            MdevDefinition asked = definitions.definition(uuid, spec);
            MdevStatus there = devices.get(uuid);
            if (there == null) {
                addDefine(Step.Action.DEFINE, asked, spec);
                return;
            }
            boolean isLabelled = management.isAsSaid(manager, subject, spec.metadata());
            Optional<MdevDefinition> before = there.definition();
            if (isStranger(subject, there)) {
                return;
            }
            String parent = before.map(MdevDefinition::parent).orElse(there.parent());
            String type = before.map(MdevDefinition::type).orElse(there.type());
            if (!parent.equals(asked.parent()) || !type.equals(asked.type())) {
                addConflict(subject, Problem.EXISTS, "it is " + words(parent, type));
            } else if (before.isEmpty()) {
                addDefine(Step.Action.DEFINE, asked, spec);
            } else if (!before.get().equals(asked)) {
                addDefine(Step.Action.CHANGE, asked, spec);
            } else if (!isLabelled) {
                addLabels(subject, () -> management.set(manager, subject, spec.metadata()));
            }
        }

        private void addDefine(Step.Action action, MdevDefinition asked, DefinitionSpec spec) {
            Subject subject = Subject.mdev(asked.uuid());
            add(
                    action,
                    subject,
                    "%s autostart=%b attributes=%d"
                            .formatted(
                                    words(asked.parent(), asked.type()),
                                    asked.autostart(),
                                    asked.attributes().size()),
                    Call.of("PUT", "definitions/" + asked.uuid()),
                    () -> {
                        var _ = definitions.define(asked);
                        management.set(manager, subject, spec.metadata());
                    });
        }

        private boolean isStranger(Subject subject, MdevStatus there) {
            boolean isForeign = there.owner() == Owner.FOREIGN;
            if (isForeign) {
                addConflict(subject, Problem.DENIED, "it is another program's: adopt it first");
            }
            return isForeign;
        }

        private void addMdev(UUID uuid, MdevSpec spec) {
            Subject subject = Subject.mdev(uuid);
            compare(subject, () -> compareMdev(subject, uuid, spec));
        }

        private void compareMdev(Subject subject, UUID uuid, MdevSpec spec) {
            if (conflicting.contains(subject)) {
                return;
            }
            MdevStatus there = devices.get(uuid);
            boolean isDefinedHere = defined.containsKey(uuid);
            if (there == null && isDefinedHere) {
                addStart(subject, uuid, spec);
                return;
            }
            if (there == null) {
                MdevSpec managed = spec.with(Management.ofNew(manager, spec.metadata()));
                add(
                        Step.Action.CREATE,
                        subject,
                        words(spec.parent(), spec.type()),
                        Call.of("PUT", subject.toString()),
                        () -> {
                            var _ = mdevs.create(uuid, managed);
                        });
                return;
            }
            boolean isLabelled =
                    isDefinedHere || management.isAsSaid(manager, subject, spec.metadata());
            if (isStranger(subject, there)) {
                return;
            }
            if (!mdevs.isSame(there, spec)) {
                addConflict(
                        subject, Problem.EXISTS, "it is " + words(there.parent(), there.type()));
                return;
            }
            switch (there.activity()) {
                case INACTIVE -> addStart(subject, uuid, spec);
                case ACTIVE -> {}
                case STARTING, STOPPING ->
                        addConflict(subject, Problem.UNAVAILABLE, "it is being created or removed");
                case LOST ->
                        addConflict(
                                subject, Problem.BUSY, "it is lost: " + there.trouble().orElse(""));
            }
            if (spec.persists()) {
                addPersistence(subject, uuid, spec, there.definition().orElse(null));
            }
            if (!isLabelled) {
                addLabels(subject, () -> management.set(manager, subject, spec.metadata()));
            }
        }

        private void addStart(Subject subject, UUID uuid, MdevSpec spec) {
            add(
                    Step.Action.START,
                    subject,
                    words(spec.parent(), spec.type()),
                    Call.of("POST", subject + "/start"),
                    () -> {
                        var _ = mdevs.start(uuid);
                    });
        }

        private void addPersistence(
                Subject subject, UUID uuid, MdevSpec spec, @Nullable MdevDefinition before) {
            if (before == null || before.autostart() != spec.autostarts()) {
                add(
                        before == null ? Step.Action.DEFINE : Step.Action.CHANGE,
                        subject,
                        "%s autostart=%b"
                                .formatted(words(spec.parent(), spec.type()), spec.autostarts()),
                        Call.of("PUT", subject.toString()),
                        () -> mdevs.persist(uuid, spec.autostarts()));
            }
        }

        private void addMachine(NewMachine machine) {
            Subject subject = Subject.machine(machine.name());
            compare(subject, () -> compareMachine(subject, machine));
        }

        private void compareMachine(Subject subject, NewMachine machine) {
            Optional<String> difference = machines.differenceOf(machine);
            if (difference.isEmpty()) {
                NewMachine managed = machine.with(Management.ofNew(manager, machine.metadata()));
                add(
                        Step.Action.CREATE,
                        subject,
                        machine.isExternal() ? NewMachine.EXTERNAL : NewMachine.GUEST,
                        new Call("POST", "machines", subject.toString()),
                        () -> machines.create(managed));
                return;
            }
            boolean isLabelled = management.isAsSaid(manager, subject, machine.metadata());
            if (!difference.get().isEmpty()) {
                addConflict(subject, Problem.EXISTS, difference.get());
            } else if (!isLabelled) {
                addLabels(subject, () -> management.set(manager, subject, machine.metadata()));
            }
        }

        private void addAttachment(String machine, UUID uuid) {
            Subject subject = Subject.mdev(uuid);
            MdevStatus there = freed.contains(uuid) ? null : devices.get(uuid);
            boolean isThere = there != null && machineOf(there).equals(machine);
            // What is not what the document means is not joined to anything.
            if (isThere
                    || conflicting.contains(subject)
                    || conflicting.contains(Subject.machine(machine))) {
                return;
            }
            Optional<String> holder = there == null ? Optional.empty() : there.holder();
            if (holder.isPresent()) {
                addConflict(subject, Problem.BUSY, "%s has it".formatted(holder.get()));
                return;
            }
            add(
                    Step.Action.ATTACH,
                    subject,
                    "machine=" + machine,
                    Call.of("PUT", pathOf(machine, uuid)),
                    () -> machines.attach(machine, uuid));
        }

        private void addLabels(Subject subject, Runnable work) {
            add(
                    Step.Action.LABEL,
                    subject,
                    "%s=%s, and what the document says".formatted(Management.LABEL, manager),
                    Call.of("PATCH", subject.toString()),
                    work);
        }

        private void add(
                Step.Action action, Subject subject, String detail, Call call, Runnable work) {
            steps.add(Planned.of(action, subject, detail, call, work));
        }
    }

    /// The machine that has a device; empty if none has. Programs that use devices of the kernel
    /// are no machines.
    private static String machineOf(MdevStatus status) {
        return status.node().isPresent() ? "" : status.holder().orElse("");
    }

    private static String pathOf(String machine, UUID uuid) {
        return "%s/devices/%s".formatted(Subject.machine(machine), uuid);
    }

    private static String words(String parent, String type) {
        return "parent=%s type=%s".formatted(parent, type);
    }
}
