package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;
import dev.mdev.cli.text.Units;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;

/// The verbs about parents.
final class ParentVerbs {
    private ParentVerbs() {}

    /// `parents` and the verbs below it.
    static CommandLine parents(Session session) {
        return new CommandLine(new ListParents(session))
                .addSubcommand("list", new ListParents(session))
                .addSubcommand(new ShowParent(session))
                .addSubcommand(new Capacity(session))
                .addSubcommand(new Remove(session))
                .addSubcommand(new Find(session))
                .addSubcommand(new Rescan(session))
                .addSubcommand(new Repair(session));
    }

    private static final List<Column> POOLS =
            List.of(
                    Column.of("POOL", "/pool"),
                    pages("TOTAL", "/totalPages"),
                    pages("FREE", "/freePages"),
                    pages("LARGEST", "/largestFreePages"));

    private static Column pages(String title, String pointer) {
        return Column.of(title, pool -> Units.pages(Fields.number(pool, pointer))).atRight();
    }

    static Colour ofPresence(String presence) {
        return presence.equals("present") ? Colour.GOOD : Colour.WARNING;
    }

    @Command(name = "parents", description = "List the parents: the devices that are split.")
    private static final class ListParents extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("PARENT", "/name"),
                        Column.of("PRESENCE", "/presence").in(ParentVerbs::ofPresence),
                        Column.of("DEVICES", "/mdevs").atRight(),
                        Column.of("FREE", ListParents::largestFree),
                        Column.of("DRIVER", "/driver"),
                        Column.of("DESCRIPTION", "/description").ifWide(),
                        Column.of("POOLS", ListParents::allFree).ifWide());

        private ListParents(Session session) {
            super(session);
        }

        private static String allFree(JsonNode parent) {
            return Fields.items(parent, "/pools").stream()
                    .map(pool -> Fields.text(pool, "/pool") + ": " + free(pool))
                    .collect(Collectors.joining(", "));
        }

        /// Of the largest pool: the memory that is split.
        private static String largestFree(JsonNode parent) {
            return Fields.items(parent, "/pools").stream()
                    .max(Comparator.comparingLong(pool -> Fields.number(pool, "/totalPages")))
                    .map(ListParents::free)
                    .orElse(Fields.NONE);
        }

        private static String free(JsonNode pool) {
            return "%s of %s"
                    .formatted(
                            Units.pages(Fields.number(pool, "/freePages")),
                            Units.pages(Fields.number(pool, "/totalPages")));
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().list(ApiPath.of("parents"));
            session().list(answer, Fields.items(answer, "/items"), COLUMNS, "/name");
            return ExitCode.OK;
        }
    }

    @Command(name = "show", description = "Show a parent, its pools and its types.")
    @SuppressWarnings("NullAway.Init")
    private static final class ShowParent extends Verb {
        @Parameters(paramLabel = "PARENT", description = "The parent's name.")
        private String name;

        private ShowParent(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(parent(name));
            session().one(answer, name, () -> print(answer));
            return ExitCode.OK;
        }

        private void print(JsonNode answer) {
            session()
                    .details(
                            List.of(
                                    new Session.Detail("parent", Fields.text(answer, "/name")),
                                    new Session.Detail("driver", Fields.text(answer, "/driver")),
                                    new Session.Detail(
                                            "description", Fields.text(answer, "/description")),
                                    new Session.Detail(
                                            "presence", Fields.text(answer, "/presence")),
                                    new Session.Detail("devices", Fields.text(answer, "/mdevs"))));
            session().terminal().line("");
            session().table(Fields.items(answer, "/pools"), POOLS);
            session().terminal().line("");
            session().table(Fields.items(answer, "/types"), TypeVerbs.COLUMNS);
        }
    }

    @Command(name = "capacity", description = "Show who has which pages of a parent.")
    @SuppressWarnings("NullAway.Init")
    private static final class Capacity extends Verb {
        private static final List<Column> EXTENTS =
                List.of(
                        Column.of("FIRST PAGE", "/firstPage").atRight(),
                        Column.of("PAGES", "/pages").atRight(),
                        pages("SIZE", "/pages"),
                        Column.of("USE", "/use").in(Capacity::ofUse),
                        Column.of("DEVICE", "/mdev"));

        private static final List<Column> ELASTIC =
                List.of(
                        Column.of("ELASTIC", "/mdev"),
                        pages("GUARANTEED", "/minPages"),
                        pages("MAXIMUM", "/maxPages"),
                        pages("HAS", "/heldPages"),
                        pages("USES", "/usedPages"),
                        pages("SWAPPED OUT", "/storedPages"),
                        Column.of("EVICTED", "/evictedPages").atRight(),
                        Column.of("RETURNED", "/returnedPages").atRight());

        @Parameters(paramLabel = "PARENT", description = "The parent's name.")
        private String name;

        private Capacity(Session session) {
            super(session);
        }

        private static Colour ofUse(String use) {
            return switch (use) {
                case "free" -> Colour.GOOD;
                case "quarantined" -> Colour.BAD;
                case "scrubbing" -> Colour.WARNING;
                default -> Colour.PLAIN;
            };
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(parent(name, "capacity"));
            session().one(answer, name, () -> print(answer));
            return ExitCode.OK;
        }

        private void print(JsonNode answer) {
            session().table(Fields.items(answer, "/pools"), POOLS);
            for (JsonNode pool : Fields.items(answer, "/pools")) {
                session().terminal().line("");
                session().terminal().line("pool " + Fields.text(pool, "/pool"));
                session().table(Fields.items(pool, "/extents"), EXTENTS);
                if (!Fields.items(pool, "/elastic").isEmpty()) {
                    session().terminal().line("");
                    session().table(Fields.items(pool, "/elastic"), ELASTIC);
                }
            }
            session().terminal().line("");
            session()
                    .terminal()
                    .line(
                            "scrubbed %s, %s failures"
                                    .formatted(
                                            Units.bytes(Fields.number(answer, "/scrubbedBytes")),
                                            Fields.text(answer, "/scrubFailures")));
        }
    }

    @Command(
            name = "remove",
            description = {
                "End all devices of a parent and let its driver close it.",
                "The parent returns when the service restarts, or by parents find."
            })
    @SuppressWarnings("NullAway.Init")
    private static final class Remove extends Verb {
        @Parameters(paramLabel = "PARENT", description = "The parent's name.")
        private String name;

        @Option(
                names = "--grace",
                paramLabel = "TIME",
                description = "Ask machines for the devices, and take them after this time.")
        private @Nullable String grace;

        @Mixin private Async async = new Async();
        @Mixin private DryRun dryRun = new DryRun();

        private Remove(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            Grace time = Grace.of(grace, false);
            if (async.isAsked() && !dryRun.isAsked()) {
                Async.print(session(), service().begin("DELETE", time.on(parent(name))));
                return ExitCode.OK;
            }
            JsonNode answer =
                    service()
                            .call(
                                    "DELETE",
                                    dryRun.on(time.on(parent(name))),
                                    null,
                                    time.patience());
            long ended = Fields.items(answer, "/mdevs").size();
            dryRun.done(
                    session(),
                    answer,
                    answer.isMissingNode()
                            ? "removed parent %s".formatted(name)
                            : "removed parent %s with %d devices".formatted(name, ended));
            return ExitCode.OK;
        }
    }

    @Command(
            name = "find",
            description = "Let a driver look for parents that came, or that were removed.")
    @SuppressWarnings("NullAway.Init")
    private static final class Find extends Verb {
        @Parameters(
                index = "0",
                paramLabel = "DRIVER",
                description = "The driver's name; doctor lists them.")
        private String driver;

        @Parameters(
                index = "1",
                paramLabel = "PARENT",
                arity = "0..1",
                description = "Only this parent.")
        private @Nullable String parent;

        private Find(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            ObjectNode asked = body().put("driver", driver);
            if (parent != null) {
                asked.put("parent", parent);
            }
            JsonNode answer = service().post(ApiPath.of("parents"), asked);
            List<String> found =
                    Fields.items(answer, "/items").stream()
                            .map(one -> Fields.text(one, "/name"))
                            .toList();
            session()
                    .done(
                            answer,
                            found.isEmpty()
                                    ? "%s found no new parent".formatted(driver)
                                    : "%s found %s".formatted(driver, String.join(", ", found)));
            return ExitCode.OK;
        }
    }

    @Command(name = "rescan", description = "Look for devices that other programs created.")
    @SuppressWarnings("NullAway.Init")
    private static final class Rescan extends Verb {
        @Parameters(paramLabel = "PARENT", description = "The parent's name.")
        private String name;

        private Rescan(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            session()
                    .done(
                            service().post(parent(name, "rescan"), null),
                            "scanned parent %s".formatted(name));
            return ExitCode.OK;
        }
    }

    @Command(
            name = "repair",
            description = "Scrub quarantined pages again, and free the good ones.")
    @SuppressWarnings("NullAway.Init")
    private static final class Repair extends Verb {
        @Parameters(paramLabel = "PARENT", description = "The parent's name.")
        private String name;

        @Mixin private Async async = new Async();

        private Repair(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            if (async.isAsked()) {
                Async.print(session(), service().begin("POST", parent(name, "repair")));
                return ExitCode.OK;
            }
            session()
                    .done(
                            service().post(parent(name, "repair"), null),
                            "repaired parent %s".formatted(name));
            return ExitCode.OK;
        }
    }
}
