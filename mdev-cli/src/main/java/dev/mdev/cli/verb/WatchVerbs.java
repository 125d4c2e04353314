package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;
import dev.mdev.cli.text.JsonText;
import dev.mdev.cli.text.Printable;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.time.Duration;
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
                    "driver_failed");

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
        private long after;

        @Option(
                names = "--limit",
                paramLabel = "N",
                description = "The most events, 1 to 1000. Default: 1000.")
        private int limit = 1000;

        Events(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer =
                    service().get(ApiPath.of("events").with("after", after).with("limit", limit));
            session().list(answer, Fields.items(answer, "/items"), COLUMNS, "/subject");
            return ExitCode.OK;
        }
    }

    @Command(
            name = "watch",
            description = {
                "Print events as they happen, one a line, until Ctrl-C.",
                "With -o json, each line is the event as JSON."
            })
    static final class Watch extends Verb {
        private static final int MOST = 1000;

        @Option(
                names = "--after",
                paramLabel = "ID",
                description = "Begin after this event; 0: with the oldest. Default: the newest.")
        private @Nullable Long after;

        @Option(
                names = "--count",
                paramLabel = "N",
                description = "End after this number of events.")
        private @Nullable Long count;

        @Option(
                names = "--interval",
                paramLabel = "TIME",
                defaultValue = "1s",
                description = "How often to ask. Default: 1s.")
        private String interval = "1s";

        private long printed;

        Watch(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            Duration pause = Session.duration("interval", interval);
            boolean asJson = session().format() == Format.JSON;
            long cursor = after != null ? after : newest();
            try (Pauses pauses = new Pauses()) {
                do {
                    cursor = printAfter(cursor, asJson);
                } while (!isEnough() && pauses.pause(pause));
            }
            return ExitCode.OK;
        }

        private boolean isEnough() {
            return count != null && printed >= count;
        }

        private long newest() {
            return Fields.number(
                    service().get(ApiPath.of("events").with("after", 0).with("limit", 1)),
                    "/lastId");
        }

        /// Prints the events after the cursor, and returns the cursor after them.
        private long printAfter(long from, boolean asJson) {
            long cursor = from;
            JsonNode answer;
            List<JsonNode> events;
            do {
                answer =
                        service()
                                .get(
                                        ApiPath.of("events")
                                                .with("after", cursor)
                                                .with("limit", MOST));
                long last = Fields.number(answer, "/lastId");
                if (last < cursor) {
                    session().terminal().error("mdev: the service has restarted");
                    cursor = 0;
                    events = List.of();
                    continue;
                }
                if (Fields.isTrue(answer, "/gap")) {
                    session()
                            .terminal()
                            .error(
                                    "mdev: the service has dropped events after %d"
                                            .formatted(cursor));
                }
                events = Fields.items(answer, "/items");
                cursor = print(events, cursor, asJson);
            } while (events.size() == MOST && !isEnough());
            session().terminal().flush();
            return cursor;
        }

        private long print(List<JsonNode> events, long from, boolean asJson) {
            long cursor = from;
            for (JsonNode event : events) {
                if (isEnough()) {
                    break;
                }
                long id = Fields.number(event, "/id");
                if (id <= cursor) {
                    throw new Failure(ExitCode.FAILED, "the events are out of order at id=" + id);
                }
                cursor = id;
                session().terminal().safeLine(asJson ? JsonText.compact(event) : words(event));
                printed++;
            }
            return cursor;
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
