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
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
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

        @Mixin private LabelVerbs.Selection selection = new LabelVerbs.Selection();

        Definitions(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().list(selection.addTo(ApiPath.of("definitions")));
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

        @Mixin private Attributes attributes = new Attributes();

        @Mixin private DryRun dryRun = new DryRun();

        Define(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            UUID uuid = device.optional().orElse(null);
            ObjectNode definition;
            if (parent != null && type != null) {
                definition = definition(parent, type, autostart);
                attributes.addTo(definition);
            } else if (parent == null && type == null && uuid != null) {
                definition = ofDevice(service().get(mdev(uuid)));
            } else {
                throw Failure.usage(
                        "wanted=-p PARENT and -t TYPE, or the UUID of an active device");
            }
            UUID named = uuid == null ? UUID.randomUUID() : uuid;
            JsonNode answer =
                    service()
                            .put(
                                    dryRun.on(ApiPath.of("definitions", named.toString())),
                                    definition);
            if (dryRun.isAsked()) {
                dryRun.done(session(), answer, "");
                return ExitCode.OK;
            }
            session()
                    .one(
                            answer,
                            named.toString(),
                            () -> session().terminal().line(named.toString()));
            return ExitCode.OK;
        }

        /// What is written down already stays, unless an option says otherwise.
        private ObjectNode ofDevice(JsonNode mdev) {
            ObjectNode definition =
                    definition(
                            Fields.text(mdev, "/parent"),
                            Fields.text(mdev, "/type"),
                            autostart || Fields.isTrue(mdev, "/state/autostart"));
            if (!Fields.items(mdev, "/attributes").isEmpty()) {
                definition.set("attributes", mdev.at("/attributes"));
            }
            attributes.addTo(definition);
            return definition;
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

        @Mixin private DryRun dryRun = new DryRun();

        Undefine(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            if (file != null) {
                JsonNode answer =
                        service().delete(dryRun.on(ApiPath.of("definitions", "quarantined", file)));
                dryRun.done(session(), answer, "deleted the damaged definition " + file);
                return ExitCode.OK;
            }
            UUID uuid = device.required();
            JsonNode answer =
                    service().delete(dryRun.on(ApiPath.of("definitions", uuid.toString())));
            dryRun.done(session(), answer, "undefined " + uuid);
            return ExitCode.OK;
        }
    }

    @Command(
            name = "modify",
            description = {
                "Change a definition: whether its device starts with its parent, or its"
                        + " attributes.",
                "An active device stays as it is."
            })
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

        @Option(
                names = "--addattr",
                paramLabel = "NAME",
                description = "Add an attribute, with --value.")
        private @Nullable String added;

        @Option(names = "--value", paramLabel = "TEXT", description = "The value for --addattr.")
        private @Nullable String value;

        @Option(names = "--delattr", description = "Delete an attribute, with --index.")
        private boolean deletes;

        @Option(
                names = {"-i", "--index"},
                paramLabel = "N",
                description = "Which place of the attributes, from 0. Default: the last.")
        private @Nullable Integer index;

        Modify(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            boolean changesAttributes = added != null || deletes;
            if ((auto && manual) || (!auto && !manual && !changesAttributes)) {
                throw Failure.usage("wanted=either --auto or --manual, or an attribute");
            }
            if ((added == null) != (value == null) || (added != null && deletes)) {
                throw Failure.usage("wanted=--addattr with --value, or --delattr");
            }
            UUID uuid = device.required();
            ApiPath path = ApiPath.of("definitions", uuid.toString());
            JsonNode before = service().get(path);
            boolean starts = auto || (!manual && Fields.isTrue(before, "/autostart"));
            ObjectNode asked =
                    definition(
                            Fields.text(before, "/parent"), Fields.text(before, "/type"), starts);
            asked.set("attributes", changed(Fields.items(before, "/attributes")));
            JsonNode after = service().put(path, asked);
            session().done(after, "%s starts: %s".formatted(uuid, starts ? "auto" : "manual"));
            return ExitCode.OK;
        }

        private ArrayNode changed(List<JsonNode> before) {
            List<JsonNode> after = new ArrayList<>(before);
            int last = added == null ? before.size() - 1 : before.size();
            int at = index == null ? last : index;
            if ((added != null || deletes) && (at < 0 || at > last)) {
                throw Failure.usage("index=%d attributes=%d".formatted(at, before.size()));
            }
            if (added != null && value != null) {
                after.add(at, Attributes.of(added, value));
            } else if (deletes) {
                after.remove(at);
            }
            return body().arrayNode().addAll(after);
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

        @Mixin private Attributes attributes = new Attributes();

        @Mixin private DryRun dryRun = new DryRun();

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
                attributes.addTo(asked);
                DeviceVerbs.Create.create(this, dryRun, device.optional().orElse(null), asked);
                return ExitCode.OK;
            }
            UUID uuid = device.required();
            dryRun.done(
                    session(),
                    service().post(dryRun.on(mdev(uuid, "start")), null),
                    "started " + uuid);
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

        @Mixin private Async async = new Async();
        @Mixin private DryRun dryRun = new DryRun();

        Stop(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            Grace time = Grace.of(grace, keep);
            UUID uuid = device.required();
            if (async.isAsked() && !dryRun.isAsked()) {
                Async.print(session(), service().begin("POST", time.on(mdev(uuid, "stop"))));
                return ExitCode.OK;
            }
            JsonNode answer =
                    service()
                            .call(
                                    "POST",
                                    dryRun.on(time.on(mdev(uuid, "stop"))),
                                    null,
                                    time.patience());
            dryRun.done(session(), answer, DeviceVerbs.ended("stopped", uuid, answer));
            return ExitCode.OK;
        }
    }
}
