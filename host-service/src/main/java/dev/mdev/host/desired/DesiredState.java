package dev.mdev.host.desired;

import dev.mdev.host.label.Metadata;
import dev.mdev.host.machine.NewMachine;
import dev.mdev.host.mdev.DefinitionSpec;
import dev.mdev.host.mdev.MdevSpec;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Collectors;

/// What should be.
///
/// @param manager a name for the document: whatever it names gets this value as its label
///   `managed-by`
/// @param prune whether to remove what has this label and is not named here; false if absent
/// @param definitions the definitions, by UUID
/// @param mdevs the devices that are to be active, by UUID
/// @param machines the machines
/// @param attachments the devices of machines, by the machine's name
record DesiredState(
        @NotNull
                @Pattern(
                        regexp = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
                        message = "letters and digits, and . _ - within, at most 63")
                String manager,
        @Nullable Boolean prune,
        @Nullable @Size(max = MOST)
                Map<
                                @Pattern(regexp = UUID_FORM, message = "not a UUID") String,
                                @NotNull @Valid DefinitionSpec>
                        definitions,
        @Nullable @Size(max = MOST)
                Map<
                                @Pattern(regexp = UUID_FORM, message = "not a UUID") String,
                                @NotNull @Valid MdevSpec>
                        mdevs,
        @Nullable @Size(max = MOST) List<@NotNull @Valid NewMachine> machines,
        @Nullable @Size(max = MOST)
                Map<
                                @Pattern(
                                        regexp = NewMachine.NAME_FORM,
                                        message = NewMachine.NAME_RULE)
                                String,
                                @NotNull @Size(max = MOST) List<@NotNull UUID>>
                        attachments) {
    private static final int MOST = 4096;
    private static final String UUID_FORM = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";

    boolean prunes() {
        return prune != null && prune;
    }

    /// In the order of the UUIDs.
    Map<UUID, DefinitionSpec> allDefinitions() {
        return byUuid(definitions);
    }

    /// In the order of the UUIDs.
    Map<UUID, MdevSpec> allMdevs() {
        return byUuid(mdevs);
    }

    /// UUIDs may have capital letters.
    private static <V> Map<UUID, V> byUuid(@Nullable Map<String, V> given) {
        Map<String, V> sorted = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        sorted.putAll(given == null ? Map.of() : given);
        Map<UUID, V> all = new LinkedHashMap<>();
        sorted.forEach((text, value) -> all.put(UUID.fromString(text), value));
        return all;
    }

    List<NewMachine> allMachines() {
        return machines == null ? List.of() : machines;
    }

    Set<String> machineNames() {
        return allMachines().stream().map(NewMachine::name).collect(Collectors.toSet());
    }

    /// In the order of the machines' names.
    SortedMap<String, List<UUID>> allAttachments() {
        return new TreeMap<>(attachments == null ? Map.of() : attachments);
    }

    /// The devices that it names anywhere.
    Set<UUID> uuids() {
        Set<UUID> all = new HashSet<>(allDefinitions().keySet());
        all.addAll(allMdevs().keySet());
        allAttachments().values().forEach(all::addAll);
        return all;
    }

    /// Refuses a document that makes no sense on any host.
    ///
    /// @throws ProblemException if so
    void requireSense() {
        List<Violation> violations = new ArrayList<>();
        requireOnce(violations, "/definitions", definitions);
        requireOnce(violations, "/mdevs", mdevs);
        Map<UUID, DefinitionSpec> defined = allDefinitions();
        defined.forEach((uuid, spec) -> {
            String at = "/definitions/" + uuid;
            collect(violations, at, spec::requireSense);
            collect(violations, at, () -> requireNoManager(spec.metadata()));
        });
        allMdevs()
                .forEach((uuid, spec) -> {
                    String at = "/mdevs/" + uuid;
                    collect(violations, at, spec::requireSense);
                    collect(violations, at, () -> requireNoManager(spec.metadata()));
                    if (spec.uuid() != null && !spec.uuid().equals(uuid)) {
                        violations.add(new Violation(at + "/uuid", "another UUID"));
                    }
                    DefinitionSpec definition = defined.get(uuid);
                    if (definition != null && !spec.isOnly(definition)) {
                        violations.add(
                                new Violation(
                                        at,
                                        "it has a definition here, and may have only the same"
                                                + " parent and type"));
                    }
                });
        requireMachines(violations);
        requireAttachments(violations);
        if (!violations.isEmpty()) {
            throw ProblemException.invalid(violations);
        }
    }

    private static void requireOnce(
            List<Violation> violations, String at, @Nullable Map<String, ?> given) {
        Set<String> seen = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
        for (String uuid : given == null ? Set.<String>of() : given.keySet()) {
            if (!seen.add(uuid)) {
                violations.add(new Violation(at + "/" + uuid, "twice"));
            }
        }
    }

    private void requireMachines(List<Violation> violations) {
        Set<String> names = new HashSet<>();
        for (int i = 0; i < allMachines().size(); i++) {
            NewMachine machine = allMachines().get(i);
            String at = "/machines/" + i;
            collect(violations, at, machine::requireFitting);
            collect(violations, at, () -> requireNoManager(machine.metadata()));
            if (!names.add(machine.name())) {
                violations.add(new Violation(at + "/name", "twice"));
            }
        }
    }

    private void requireAttachments(List<Violation> violations) {
        Set<UUID> attached = new HashSet<>();
        allAttachments()
                .forEach((machine, uuids) -> {
                    for (UUID uuid : uuids) {
                        if (!attached.add(uuid)) {
                            violations.add(
                                    new Violation(
                                            "/attachments/" + machine,
                                            uuid + " is attached twice"));
                        }
                    }
                });
    }

    private static void requireNoManager(Metadata metadata) {
        if (metadata.labels().containsKey(Management.LABEL)) {
            throw ProblemException.invalid(
                    List.of(new Violation("/labels/" + Management.LABEL, "manager says it")));
        }
    }

    /// Keeps what is wrong with a part.
    private static void collect(List<Violation> violations, String at, Runnable check) {
        try {
            check.run();
        } catch (ProblemException e) {
            e.violations()
                    .forEach(it -> {
                        Violation violation = new Violation(at + it.pointer(), it.detail());
                        if (!violations.contains(violation)) {
                            violations.add(violation);
                        }
                    });
        }
    }
}
