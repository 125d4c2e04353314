package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.text.Fields;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.List;
import java.util.UUID;

/// The verbs that change a device.
final class DeviceVerbs {
    private DeviceVerbs() {}

    /// The words for the end of a device.
    ///
    /// @param verb such as `deleted`
    static String ended(String verb, UUID uuid, JsonNode answer) {
        String holder =
                Fields.optional(answer, "/holder")
                        .map(name ->
                                Fields.isTrue(answer, "/taken")
                                        ? ", taken from " + name
                                        : ", released by " + name)
                        .orElse("");
        String trouble =
                Fields.optional(answer, "/driverTrouble")
                        .map(text -> "; its driver failed: " + text)
                        .orElse("");
        return verb + " " + uuid + holder + trouble;
    }

    @Command(
            name = "create",
            description = {
                "Create a device and print its UUID.",
                "With a UUID, the device may already exist: repeating the call changes nothing."
            })
    @SuppressWarnings("NullAway.Init")
    static final class Create extends Verb {
        @Parameters(index = "0", paramLabel = "PARENT", description = "The parent's name.")
        private String parent;

        @Parameters(index = "1", paramLabel = "TYPE", description = "The type's id or name.")
        private String type;

        @Option(
                names = {"-u", "--uuid"},
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "Its identity. Default: a new one.")
        private @Nullable UUID uuid;

        @Option(
                names = "--persist",
                description = "Define it as well, so that it survives a restart.")
        private boolean persist;

        @Option(
                names = {"-a", "--autostart"},
                description = "Define it, and start it whenever its parent arrives.")
        private boolean autostart;

        @Mixin private Attributes attributes = new Attributes();

        @Mixin private DryRun dryRun = new DryRun();

        Create(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            ObjectNode asked = body().put("parent", parent).put("type", type);
            if (persist || autostart) {
                asked.put("persist", true).put("autostart", autostart);
            }
            attributes.addTo(asked);
            create(this, dryRun, uuid, asked);
            return ExitCode.OK;
        }

        /// Creates a device and prints its UUID, also in silence: it is the answer.
        static void create(Verb verb, DryRun dryRun, @Nullable UUID uuid, ObjectNode asked) {
            JsonNode answer =
                    uuid == null
                            ? verb.service().post(dryRun.on(ApiPath.of("mdevs")), asked)
                            : verb.service().put(dryRun.on(mdev(uuid)), asked);
            if (dryRun.isAsked()) {
                dryRun.done(verb.session(), answer, "");
                return;
            }
            String made = Fields.text(answer, "/uuid");
            verb.session().one(answer, made, () -> verb.session().terminal().line(made));
        }
    }

    @Command(
            name = "delete",
            description = "End devices and delete their definitions; their content is scrubbed.")
    @SuppressWarnings("NullAway.Init")
    static final class Delete extends Verb {
        @Parameters(
                paramLabel = "UUID",
                arity = "1..*",
                converter = UuidConverter.class,
                description = "The devices, in this order, up to the first failure.")
        private List<UUID> uuids;

        @Option(
                names = "--grace",
                paramLabel = "TIME",
                description = "Ask its machine for it, and take it after this time.")
        private @Nullable String grace;

        @Option(names = "--no-force", description = "With --grace: do not take it, and fail.")
        private boolean keep;

        @Mixin private Async async = new Async();
        @Mixin private DryRun dryRun = new DryRun();

        Delete(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            Grace time = Grace.of(grace, keep);
            for (UUID uuid : uuids) {
                if (async.isAsked() && !dryRun.isAsked()) {
                    Async.print(session(), service().begin("DELETE", time.on(mdev(uuid))));
                    continue;
                }
                JsonNode answer =
                        service()
                                .call(
                                        "DELETE",
                                        dryRun.on(time.on(mdev(uuid))),
                                        null,
                                        time.patience());
                dryRun.done(session(), answer, ended("deleted", uuid, answer));
            }
            return ExitCode.OK;
        }
    }

    @Command(name = "adopt", description = "Take over a device that another program created.")
    @SuppressWarnings("NullAway.Init")
    static final class Adopt extends Verb {
        @Parameters(
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        Adopt(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            session().done(service().post(mdev(uuid, "adopt"), null), "adopted " + uuid);
            return ExitCode.OK;
        }
    }

    @Command(name = "reset", description = "Revoke all mappings of a device and reset it.")
    @SuppressWarnings("NullAway.Init")
    static final class Reset extends Verb {
        @Parameters(
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        Reset(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            session().done(service().post(mdev(uuid, "reset"), null), "reset " + uuid);
            return ExitCode.OK;
        }
    }

    @Command(
            name = "revoke",
            description = {
                "Revoke mappings of guests: all, or a part of one region.",
                "The next access of a guest faults again; the content stays."
            })
    @SuppressWarnings("NullAway.Init")
    static final class Revoke extends Verb {
        @Parameters(
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        @Option(names = "--region", paramLabel = "N", description = "Only this region.")
        private @Nullable Integer region;

        @Option(
                names = "--first-page",
                paramLabel = "N",
                description = "From this page of the region.")
        private @Nullable Long firstPage;

        @Option(names = "--pages", paramLabel = "N", description = "This number of pages.")
        private @Nullable Long pages;

        Revoke(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            @Nullable ObjectNode what = null;
            if (region != null || firstPage != null || pages != null) {
                what = body();
                what.put("region", region);
                what.put("firstPage", firstPage);
                what.put("pages", pages);
                what.removeIf(JsonNode::isNull);
            }
            JsonNode answer = service().post(mdev(uuid, "revoke"), what);
            session()
                    .done(
                            answer,
                            "revoked %s: %s resident pages before, %s after"
                                    .formatted(
                                            uuid,
                                            Fields.text(answer, "/residentBefore"),
                                            Fields.text(answer, "/residentAfter")));
            return ExitCode.OK;
        }
    }
}
