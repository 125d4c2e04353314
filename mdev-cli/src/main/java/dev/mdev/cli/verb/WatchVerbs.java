package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.client.EventSource;
import dev.mdev.cli.client.Service;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;
import dev.mdev.cli.text.JsonText;
import dev.mdev.cli.text.Printable;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;

/// The verbs that show what happens.
final class WatchVerbs {
    /// As in the REST reference: trouble, logged as warnings.
    private static final Set<String> TROUBLES =
            Set.of(
                    "mdev_taken",
                    "mdev_lost",
                    "start_failed",
                    "definition_quarantined",
                    "restore_failed",
                    "pages_quarantined",
                    "journal_trouble",
                    "callback_slow",
                    "callback_overdue",
                    "grant_refused",
                    "driver_failed",
                    "driver_report",
                    "eviction_refused",
                    "backing_store_failed",
                    "thrashing");

    private WatchVerbs() {}

    static Colour ofKind(String kind) {
        return TROUBLES.contains(kind) ? Colour.BAD : Colour.PLAIN;
    }

    @Command(name = "events", description = "List what happened, oldest first.")
    static final class Events extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("ID", "/id").atRight(),
                        Column.of("TIME", "/time"),
                        Column.of("KIND", "/kind").in(WatchVerbs::ofKind),
                        Column.of("SUBJECT", "/subject"),
                        Column.of("DETAIL", "/detail"));

        @Option(
                names = "--after",
                paramLabel = "ID",
                description = "Only events after this one. Default: all that are kept.")
        private String after = "0";

        @Option(
                names = "--limit",
                paramLabel = "N",
                description = "The most events, 1 to 1000. Default: 1000.")
        private int limit = 1000;

        @Mixin private Selection selection = new Selection();

        Events(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer =
                    service()
                            .get(
                                    selection.addTo(
                                            ApiPath.of("events")
                                                    .with("after", after)
                                                    .with("limit", limit)));
            session().list(answer, Fields.items(answer, "/items"), COLUMNS, "/subject");
            return ExitCode.OK;
        }
    }

    /// Which events a verb is about.
    static final class Selection {
        @Option(
                names = "--kind",
                paramLabel = "KIND",
                split = ",",
                description = "Only events of these kinds, such as mdev_lost.")
        private List<String> kinds = new ArrayList<>();

        @Option(
                names = "--subject",
                paramLabel = "SUBJECT",
                description = "Only events of this subject, such as mdevs/UUID or machines/.")
        private @Nullable String subject;

        ApiPath addTo(ApiPath path) {
            ApiPath selected = subject == null ? path : path.with("subject", subject);
            return kinds.isEmpty() ? selected : selected.with("kind", String.join(",", kinds));
        }
    }

    @Command(
            name = "watch",
            description = {
                "Print events as they happen, one a line, until Ctrl-C.",
                "With -o json, each line is the event as JSON. If the connection ends, the",
                "verb connects again, and prints what it missed."
            })
    static final class Watch extends Verb {
        @Option(
                names = "--after",
                paramLabel = "ID",
                description = "Begin after this event; 0: with the oldest. Default: the newest.")
        private @Nullable String after;

        @Option(
                names = "--count",
                paramLabel = "N",
                description = "End after this number of events.")
        private @Nullable Long count;

        @Mixin private Selection selection = new Selection();

        private long printed;
        private String last = "";

        Watch(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            ApiPath path = selection.addTo(ApiPath.of("events"));
            if (!isEnough()) {
                new EventSource(service())
                        .read(after == null ? path : path.with("after", after), this::receive);
            }
            return ExitCode.OK;
        }

        private boolean isEnough() {
            return count != null && printed >= count;
        }

        private boolean receive(EventSource.Message message) {
            switch (message.name()) {
                case "" -> print(message);
                case "gap" ->
                        session()
                                .terminal()
                                .error(
                                        "mdev: events are lost, before "
                                                + Printable.of(message.id()));
                default -> {}
            }
            last = message.id();
            session().terminal().flush();
            return !isEnough();
        }

        private void print(EventSource.Message message) {
            if (message.id().equals(last)) {
                throw new Failure(ExitCode.FAILED, "the events are out of order at id=" + last);
            }
            JsonNode event = Service.json(message.data());
            session()
                    .terminal()
                    .safeLine(
                            session().format() == Format.JSON
                                    ? JsonText.compact(event)
                                    : words(event));
            printed++;
        }

        private String words(JsonNode event) {
            String kind = Printable.of(Fields.text(event, "/kind"));
            return "%s  %s  %s  %s"
                    .formatted(
                            Printable.of(Fields.text(event, "/time")),
                            session().colours() ? ofKind(kind).paint(kind) : kind,
                            Printable.of(Fields.text(event, "/subject")),
                            Printable.of(Fields.text(event, "/detail")));
        }
    }

    @Command(
            name = "faults",
            description = "Show the faults of a device, and what its driver answered.")
    @SuppressWarnings("NullAway.Init")
    static final class Faults extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("TIME", "/time"),
                        Column.of("REGION", "/region").atRight(),
                        Column.of("PAGE", "/page").atRight(),
                        Column.of("ACCESS", "/access"),
                        Column.of("REASON", "/reason"),
                        Column.of("OUTCOME", "/outcome").in(Faults::ofOutcome),
                        Column.of("MICROS", "/driverMicros").atRight(),
                        Column.of("ANSWER", "/answer"));

        @Parameters(
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        @Option(
                names = "--limit",
                paramLabel = "N",
                description = "The most faults, 0 to 256. Default: 20.")
        private int limit = 20;

        Faults(Session session) {
            super(session);
        }

        private static Colour ofOutcome(String outcome) {
            return switch (outcome) {
                case "granted", "trapped" -> Colour.PLAIN;
                case "denied" -> Colour.WARNING;
                default -> Colour.BAD;
            };
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(mdev(uuid, "faults").with("limit", limit));
            session().one(answer, uuid.toString(), () -> print(answer));
            return ExitCode.OK;
        }

        private void print(JsonNode answer) {
            String outcomes =
                    answer.at("/outcomes").properties().stream()
                            .map(entry -> entry.getKey() + " " + entry.getValue().asString())
                            .collect(Collectors.joining(", "));
            session()
                    .terminal()
                    .line(
                            "%s faults: %s; %s resident pages"
                                    .formatted(
                                            Fields.text(answer, "/faults"),
                                            outcomes,
                                            Fields.text(answer, "/residentPages")));
            session().table(Fields.items(answer, "/recent"), COLUMNS);
        }
    }

    @Command(name = "counters", description = "Show the counters of a device's driver.")
    @SuppressWarnings("NullAway.Init")
    static final class Counters extends Verb {
        private static final List<Column> COLUMNS =
                List.of(Column.of("COUNTER", "/name"), Column.of("VALUE", "/value").atRight());

        @Parameters(
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        Counters(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(mdev(uuid, "counters"));
            ArrayNode rows = body().arrayNode();
            for (Map.Entry<String, JsonNode> counter : answer.at("/counters").properties()) {
                ObjectNode row = body().put("name", counter.getKey());
                rows.add(row.set("value", counter.getValue()));
            }
            ObjectNode table = body();
            table.set("items", rows);
            session().list(answer, Fields.items(table, "/items"), COLUMNS, "/name");
            return ExitCode.OK;
        }
    }
}
