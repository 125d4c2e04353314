package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.List;
import java.util.UUID;

/// The verbs about definitions, with the options of mdevctl.
final class DefinitionVerbs {
    private DefinitionVerbs() {}

    private static ObjectNode definition(String parent, String type, boolean autostart) {
        return Verb.body().put("parent", parent).put("type", type).put("autostart", autostart);
    }

    @Command(name = "definitions", description = "List the definitions.")
    static final class Definitions extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("UUID", "/uuid"),
                        Column.of("PARENT", "/parent"),
                        Column.of("TYPE", "/type"),
                        Column.of(
                                "START",
                                item -> Fields.isTrue(item, "/autostart") ? "auto" : "manual"));

        Definitions(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(ApiPath.of("definitions"));
            session().list(answer, Fields.items(answer, "/items"), COLUMNS, "/uuid");
            return ExitCode.OK;
        }
    }

    @Command(
            name = "define",
            description = {
                "Define a device without creating it, and print its UUID.",
                "With only a UUID: make an active device persistent."
            })
    static final class Define extends Verb {
        @Mixin private WhichDevice device = new WhichDevice();

        @Option(
                names = {"-p", "--parent"},
                paramLabel = "PARENT",
                description = "The parent's name; it may be absent.")
        private @Nullable String parent;

        @Option(
                names = {"-t", "--type"},
                paramLabel = "TYPE",
                description = "The type's id.")
        private @Nullable String type;

        @Option(
                names = {"-a", "--auto"},
                description = "Start it whenever its parent arrives.")
        private boolean autostart;

        Define(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            UUID uuid = device.optional().orElse(null);
            ObjectNode definition;
            if (parent != null && type != null) {
                definition = definition(parent, type, autostart);
            } else if (parent == null && type == null && uuid != null) {
                JsonNode active = service().get(mdev(uuid));
                definition =
                        definition(
                                Fields.text(active, "/parent"),
                                Fields.text(active, "/type"),
                                autostart);
            } else {
                throw Failure.usage(
                        "wanted=-p PARENT and -t TYPE, or the UUID of an active device");
            }
            UUID named = uuid == null ? UUID.randomUUID() : uuid;
            JsonNode answer =
                    service().put(ApiPath.of("definitions", named.toString()), definition);
            session()
                    .one(
                            answer,
                            named.toString(),
                            () -> session().terminal().line(named.toString()));
            return ExitCode.OK;
        }
    }

    @Command(name = "undefine", description = "Delete a definition; an active device stays.")
    static final class Undefine extends Verb {
        @Mixin private WhichDevice device = new WhichDevice();

        @Option(
                names = "--quarantined",
                paramLabel = "FILE",
                description = "Delete a damaged definition file instead; doctor lists them.")
        private @Nullable String file;

        Undefine(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            if (file != null) {
                JsonNode answer = service().delete(ApiPath.of("definitions", "quarantined", file));
                session().done(answer, "deleted the damaged definition " + file);
                return ExitCode.OK;
            }
            UUID uuid = device.required();
            JsonNode answer = service().delete(ApiPath.of("definitions", uuid.toString()));
            session().done(answer, "undefined " + uuid);
            return ExitCode.OK;
        }
    }

    @Command(
            name = "modify",
            description = "Change whether a defined device starts with its parent.")
    static final class Modify extends Verb {
        @Mixin private WhichDevice device = new WhichDevice();

        @Option(
                names = {"-a", "--auto"},
                description = "Start it whenever its parent arrives.")
        private boolean auto;

        @Option(
                names = {"-m", "--manual"},
                description = "Start it only by the verb start.")
        private boolean manual;

        Modify(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            if (auto == manual) {
                throw Failure.usage("wanted=either --auto or --manual");
            }
            UUID uuid = device.required();
            ApiPath path = ApiPath.of("definitions", uuid.toString());
            JsonNode before = service().get(path);
            JsonNode after =
                    service()
                            .put(
                                    path,
                                    definition(
                                            Fields.text(before, "/parent"),
                                            Fields.text(before, "/type"),
                                            auto));
            session().done(after, "%s starts: %s".formatted(uuid, auto ? "auto" : "manual"));
            return ExitCode.OK;
        }
    }

    @Command(
            name = "start",
            description = {
                "Create a defined device.",
                "With -p and -t: create a device that nothing defines, and print its UUID."
            })
    static final class Start extends Verb {
        @Mixin private WhichDevice device = new WhichDevice();

        @Option(
                names = {"-p", "--parent"},
                paramLabel = "PARENT",
                description = "The parent's name.")
        private @Nullable String parent;

        @Option(
                names = {"-t", "--type"},
                paramLabel = "TYPE",
                description = "The type's id.")
        private @Nullable String type;

        Start(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            if ((parent == null) != (type == null)) {
                throw Failure.usage("wanted=both -p PARENT and -t TYPE, or neither");
            }
            if (parent != null) {
                ObjectNode asked = body().put("parent", parent).put("type", type);
                DeviceVerbs.Create.create(this, device.optional().orElse(null), asked);
                return ExitCode.OK;
            }
            UUID uuid = device.required();
            session().done(service().post(mdev(uuid, "start"), null), "started " + uuid);
            return ExitCode.OK;
        }
    }

    @Command(name = "stop", description = "End a device; its definition stays.")
    static final class Stop extends Verb {
        @Mixin private WhichDevice device = new WhichDevice();

        @Option(
                names = "--grace",
                paramLabel = "TIME",
                description = "Ask its machine for it, and take it after this time.")
        private @Nullable String grace;

        @Option(names = "--no-force", description = "With --grace: do not take it, and fail.")
        private boolean keep;

        Stop(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            Grace time = Grace.of(grace, keep);
            UUID uuid = device.required();
            JsonNode answer =
                    service().call("POST", time.on(mdev(uuid, "stop")), null, time.patience());
            session().done(answer, DeviceVerbs.ended("stopped", uuid, answer));
            return ExitCode.OK;
        }
    }
}
