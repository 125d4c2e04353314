package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;
import dev.mdev.cli.text.JsonText;
import dev.mdev.cli.text.Units;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// A table of the devices that renews itself: who faults, and how much is mapped.
@Command(
        name = "top",
        description = {
            "Show the active devices, the busiest first, again and again until Ctrl-C.",
            "With -o json, each line is one device at one time."
        })
final class Top extends Verb {
    private static final String CLEAR = "\u001b[H\u001b[2J";
    private static final double NANOS = 1e9;

    private static final List<Column> COLUMNS =
            List.of(
                    Column.of("UUID", "/uuid"),
                    Column.of("TYPE", "/type"),
                    Column.of("MACHINE", "/machine"),
                    Column.of(
                                    "FAULTS/S",
                                    row -> Units.tenths(row.at("/faultsPerSecond").asDouble(0)))
                            .atRight(),
                    Column.of("FAULTS", "/faults").atRight(),
                    Column.of("RESIDENT", row -> Units.pages(Fields.number(row, "/residentPages")))
                            .atRight(),
                    Column.of("OF", row -> Units.bytes(Fields.number(row, "/regionBytes")))
                            .atRight(),
                    Column.of("OVERDUE", "/overdue"));
    private static final Column ENGINE = Column.of("ENGINE", Top::percent).atRight();

    /// The line above the table, its titles, and the line of the cursor.
    private static final int OTHER_LINES = 3;

    @Option(
            names = {"-n", "--count"},
            paramLabel = "N",
            description = "End after this number of tables.")
    private @Nullable Integer count;

    @Option(
            names = {"-i", "--interval"},
            paramLabel = "TIME",
            defaultValue = "2s",
            description = "The time between two tables. Default: 2s.")
    private String interval = "2s";

    @Option(
            names = "--engine",
            description = {
                "Also show which part of the work of its parent's engine each device had done.",
                "This asks the driver of each device."
            })
    private boolean engine;

    private Map<String, Long> before = new HashMap<>();
    private long beforeNanos;

    Top(Session session) {
        super(session);
    }

    @Override
    ExitCode run() {
        Duration pause = Session.duration("interval", interval);
        if (pause.isZero()) {
            throw Failure.usage("interval=0s wanted=at least 1ms");
        }
        boolean asJson = session().format() == Format.JSON;
        EngineShares shares = new EngineShares(service());
        look(shares);
        try (Pauses pauses = new Pauses()) {
            for (int shown = 0; count == null || shown < count; shown++) {
                if (!pauses.pause(pause)) {
                    break;
                }
                print(look(shares), asJson);
            }
        }
        return ExitCode.OK;
    }

    private List<ObjectNode> look(EngineShares shares) {
        List<ObjectNode> rows = rows();
        if (engine) {
            shares.addTo(rows);
        }
        return rows;
    }

    private void print(List<ObjectNode> rows, boolean asJson) {
        if (asJson) {
            rows.forEach(row -> session().terminal().safeLine(JsonText.compact(row)));
        } else if (session().canRenew()) {
            renew(rows);
        } else {
            table(rows);
            session().terminal().line("");
        }
        session().terminal().flush();
    }

    /// Draws what the terminal has room for: what scrolls away at its top would be the busiest.
    private void renew(List<ObjectNode> rows) {
        int room =
                session().terminal().rows().stream()
                        .map(lines -> Math.max(1, lines - OTHER_LINES))
                        .findFirst()
                        .orElse(rows.size());
        List<ObjectNode> shown = rows.subList(0, Math.min(room, rows.size()));
        String rest =
                shown.size() == rows.size() ? "" : ", the busiest %d here".formatted(shown.size());
        session().terminal().safeLine(CLEAR + rows.size() + " active devices" + rest);
        table(shown);
    }

    private void table(List<ObjectNode> rows) {
        List<Column> columns = new ArrayList<>(COLUMNS);
        if (engine) {
            columns.add(columns.size() - 1, ENGINE);
        }
        session().table(List.copyOf(rows), columns);
    }

    private static String percent(JsonNode row) {
        JsonNode share = row.at("/engineShare");
        return share.isNumber() ? Math.round(share.asDouble() * 100) + " %" : Fields.NONE;
    }

    /// The devices of the moment, with the rates since the last call.
    private List<ObjectNode> rows() {
        JsonNode answer = service().list(ApiPath.of("mdevs"));
        long now = System.nanoTime();
        double seconds = Math.max(now - beforeNanos, 1) / NANOS;
        Map<String, Long> counts = new HashMap<>();
        List<ObjectNode> rows = new ArrayList<>();
        for (JsonNode mdev : Fields.items(answer, "/items")) {
            if (!Fields.isTrue(mdev, "/state/active")) {
                continue;
            }
            String uuid = Fields.text(mdev, "/uuid");
            long faults = Fields.number(mdev, "/faults");
            counts.put(uuid, faults);
            long since = faults - before.getOrDefault(uuid, 0L);
            rows.add(row(mdev, Math.max(since, 0) / seconds));
        }
        before = counts;
        beforeNanos = now;
        rows.sort(
                Comparator.comparingDouble(
                                (ObjectNode row) -> -row.at("/faultsPerSecond").asDouble(0))
                        .thenComparing(row -> Fields.text(row, "/uuid")));
        return rows;
    }

    private static ObjectNode row(JsonNode mdev, double rate) {
        ObjectNode row = body();
        for (String field :
                List.of(
                        "uuid",
                        "parent",
                        "type",
                        "machine",
                        "faults",
                        "residentPages",
                        "overdue")) {
            JsonNode value = mdev.get(field);
            if (value != null) {
                row.set(field, value);
            }
        }
        long sizeBytes =
                Fields.items(mdev, "/regions").stream()
                        .mapToLong(region -> Fields.number(region, "/sizeBytes"))
                        .sum();
        return row.put("regionBytes", sizeBytes).put("faultsPerSecond", rate);
    }
}
