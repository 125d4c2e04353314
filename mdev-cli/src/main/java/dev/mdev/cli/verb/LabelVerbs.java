package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/// Labels, names and descriptions.
final class LabelVerbs {
    private LabelVerbs() {}

    /// Selects the items of a list.
    static final class Selection {
        @Option(
                names = {"-l", "--selector"},
                paramLabel = "SELECTOR",
                split = ",",
                description = {
                    "Only with these labels: KEY=VALUE, KEY!=VALUE,",
                    "KEY, !KEY; several, separated by commas, must all hold."
                })
        private List<String> conditions = new ArrayList<>();

        ApiPath addTo(ApiPath path) {
            return conditions.isEmpty() ? path : path.with("label", String.join(",", conditions));
        }
    }

    @Command(
            name = "label",
            description = {
                "Change the labels of a device or a machine.",
                "KEY=VALUE sets a label, and KEY- removes it."
            })
    @SuppressWarnings("NullAway.Init")
    static final class Label extends Verb {
        @Parameters(
                index = "0",
                paramLabel = "UUID|MACHINE",
                description = "A device or its definition; or with --machine, a machine.")
        private String name;

        @Parameters(
                index = "1..*",
                arity = "0..*",
                paramLabel = "CHANGE",
                description = "KEY=VALUE or KEY-.")
        private List<String> changes = new ArrayList<>();

        @Option(names = "--machine", description = "The name is that of a machine.")
        private boolean isMachine;

        @Option(
                names = "--display-name",
                paramLabel = "TEXT",
                description = "Set the name for people; empty: remove it.")
        private @Nullable String displayName;

        @Option(
                names = "--description",
                paramLabel = "TEXT",
                description = "Set the description; empty: remove it.")
        private @Nullable String description;

        Label(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            ObjectNode patch = body();
            put(patch, "displayName", displayName);
            put(patch, "description", description);
            changes.forEach(change -> addTo(patch, change));
            if (patch.isEmpty()) {
                throw Failure.usage("nothing to change: give KEY=VALUE or KEY-");
            }
            ApiPath path = isMachine ? machine(name) : mdev(uuid());
            JsonNode answer = service().patch(path, patch);
            session().done(answer, "labelled " + name);
            return ExitCode.OK;
        }

        private UUID uuid() {
            try {
                return new UuidConverter().convert(name);
            } catch (TypeConversionException e) {
                throw Failure.usage(String.valueOf(e.getMessage()));
            }
        }

        private static void put(ObjectNode patch, String member, @Nullable String text) {
            if (text != null && text.isEmpty()) {
                patch.putNull(member);
            } else if (text != null) {
                patch.put(member, text);
            }
        }

        private static void addTo(ObjectNode patch, String change) {
            int equals = change.indexOf('=');
            if (equals > 0) {
                patch.withObject("/labels")
                        .put(change.substring(0, equals), change.substring(equals + 1));
            } else if (equals < 0 && change.length() > 1 && change.endsWith("-")) {
                patch.withObject("/labels").putNull(change.substring(0, change.length() - 1));
            } else {
                throw Failure.usage("%s is neither KEY=VALUE nor KEY-".formatted(change));
            }
        }
    }
}
