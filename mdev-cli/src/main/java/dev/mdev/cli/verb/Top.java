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
        rows();
        try (Pauses pauses = new Pauses()) {
            for (int shown = 0; count == null || shown < count; shown++) {
                if (!pauses.pause(pause)) {
                    break;
                }
                print(rows(), asJson);
            }
        }
        return ExitCode.OK;
    }

    private void print(List<JsonNode> rows, boolean asJson) {
        if (asJson) {
            rows.forEach(row -> session().terminal().safeLine(JsonText.compact(row)));
        } else {
            boolean renews = session().terminal().isTerminal();
            if (renews) {
                session().terminal().safeLine(CLEAR + rows.size() + " active devices");
            }
            session().table(rows, COLUMNS);
            if (!renews) {
                session().terminal().line("");
            }
        }
        session().terminal().flush();
    }

    /// The devices of the moment, with the rates since the last call.
    private List<JsonNode> rows() {
        JsonNode answer = service().list(ApiPath.of("mdevs"));
        long now = System.nanoTime();
        double seconds = Math.max(now - beforeNanos, 1) / NANOS;
        Map<String, Long> counts = new HashMap<>();
        List<JsonNode> rows = new ArrayList<>();
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
                                (JsonNode row) -> -row.at("/faultsPerSecond").asDouble(0))
                        .thenComparing(row -> Fields.text(row, "/uuid")));
        return rows;
    }

    private static ObjectNode row(JsonNode mdev, double rate) {
        ObjectNode row = body();
        for (String field :
                List.of("uuid", "type", "machine", "faults", "residentPages", "overdue")) {
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
