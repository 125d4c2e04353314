package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.cli.terminal.Terminal;

import org.junit.jupiter.api.Test;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/// The live table of devices.
class TopTest {
    private static final String MDEV =
            "{\"uuid\":\"%s\",\"parent\":\"%s\",\"faults\":%d,\"state\":{\"active\":true}}";

    private static String mdevs(String... items) {
        return "{\"items\":[%s]}".formatted(String.join(",", items));
    }

    private static Stub work(Stub stub, String uuid, String... units) {
        for (String some : units) {
            stub.onGet(
                    "mdevs/%s/counters".formatted(uuid),
                    "{\"counters\":{\"engine_work_units\":%s}}".formatted(some));
        }
        return stub;
    }

    private static List<JsonNode> rows(Stub stub, String... more) {
        String[] all = new String[more.length + 7];
        List.of("top", "-n", "1", "-i", "1ms", "-o", "json").toArray(all);
        System.arraycopy(more, 0, all, 7, more.length);
        return Run.of(stub.url(), all)
                .requireOk()
                .out()
                .lines()
                .map(JsonMapper.shared()::readTree)
                .toList();
    }

    @Test
    void theBusiestDeviceIsTheFirst() throws IOException {
        String quiet = MDEV.formatted("a", "p", 5);
        try (Stub stub = new Stub()) {
            stub.onGet("mdevs", mdevs(quiet, MDEV.formatted("b", "p", 0)))
                    .onGet("mdevs", mdevs(quiet, MDEV.formatted("b", "p", 9), "{\"uuid\":\"c\"}"));
            List<JsonNode> rows = rows(stub);
            assertThat(rows).hasSize(2);
            assertThat(rows.get(0).at("/uuid").asString()).isEqualTo("b");
            assertThat(rows.get(0).at("/faultsPerSecond").asDouble()).isPositive();
            assertThat(rows.get(1).at("/faultsPerSecond").asDouble()).isZero();
            assertThat(rows).noneMatch(row -> row.has("engineShare"));
        }
    }

    @Test
    void sharesOfTheEngineAreThoseOfOneParent() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet(
                    "mdevs",
                    mdevs(
                            MDEV.formatted("a", "p", 0),
                            MDEV.formatted("b", "p", 0),
                            MDEV.formatted("c", "q", 0),
                            MDEV.formatted("d", "q", 0),
                            MDEV.formatted("e", "q", 0)));
            work(stub, "a", "10", "40");
            work(stub, "b", "7", "17");
            work(stub, "c", "5", "2");
            work(stub, "d", "null", "\"x\"");
            assertThat(rows(stub, "--engine"))
                    .extracting(row -> row.at("/engineShare").toString())
                    .containsExactly("0.75", "0.25", "0.0", "", "");
            String table =
                    Run.of(
                                    work(work(stub, "a", "50"), "b", "17").url(),
                                    "top",
                                    "-n",
                                    "1",
                                    "-i",
                                    "1ms",
                                    "--engine")
                            .requireOk()
                            .out();
            assertThat(table.lines().findFirst().orElse("")).contains("ENGINE  OVERDUE");
        }
    }

    @Test
    void aTerminalShowsTheBusiestDevicesThatItHasRoomFor() throws IOException {
        try (Stub stub = new Stub()) {
            String[] items = new String[100];
            for (int i = 0; i < items.length; i++) {
                items[i] = MDEV.formatted("device-%03d".formatted(i), "p", 0);
            }
            stub.onGet("mdevs", mdevs(items));
            assertThat(onTerminal(stub, OptionalInt.of(8)).lines())
                    .hasSize(7)
                    .satisfies(lines -> {
                        assertThat(lines.getFirst())
                                .endsWith("100 active devices, the busiest 5 here");
                        assertThat(lines.getLast()).startsWith("device-004");
                    });
            assertThat(onTerminal(stub, OptionalInt.of(1)).lines()).hasSize(3);
            assertThat(onTerminal(stub, OptionalInt.empty()).lines())
                    .hasSize(102)
                    .first()
                    .asString()
                    .endsWith("100 active devices");
        }
    }

    private static String onTerminal(Stub stub, OptionalInt rows) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        Terminal terminal =
                new Terminal(
                        InputStream.nullInputStream(),
                        out,
                        OutputStream.nullOutputStream(),
                        true,
                        () -> rows);
        int code =
                Mdev.run(
                        List.of("top", "-n", "1", "-i", "1ms"),
                        Map.of("MDEV_URL", stub.url()),
                        terminal);
        assertThat(code).isZero();
        return out.toString(UTF_8);
    }
}
