package dev.mdev.cli.text;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

import java.time.Duration;
import java.util.List;
import java.util.Random;

/// The printers, against readers of other programs.
class TextTest {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final List<String> WORDS =
            List.of(
                    "",
                    "a",
                    "true",
                    "No",
                    "null",
                    "~",
                    "1",
                    "0x1f",
                    "1e3",
                    "-",
                    "- a",
                    "a: b",
                    "# c",
                    " a ",
                    "a\nb",
                    "\t",
                    "'",
                    "\"",
                    "\\",
                    "{",
                    "[",
                    "*a",
                    "&a",
                    "!a",
                    "%a",
                    "@a",
                    "`",
                    "2026-11-29",
                    "é",
                    "\u001b[31m",
                    "\u0085",
                    "\u2028",
                    "\ud83d\ude00",
                    "=",
                    "<<",
                    "0o7",
                    "1_000",
                    ".inf",
                    "y",
                    "on",
                    "12:30:45",
                    "gpu-sample-64m",
                    "00:01.0");

    private final long seed = Long.getLong("mdev.seed", System.nanoTime());

    private static JsonNode random(Random random, int depth) {
        int kind = random.nextInt(depth > 3 ? 4 : 7);
        return switch (kind) {
            case 0 -> JSON.booleanNode(random.nextBoolean());
            case 1 -> JSON.numberNode(random.nextLong());
            case 2, 3 -> JSON.stringNode(word(random));
            case 4, 5 -> {
                ObjectNode object = JSON.objectNode();
                for (int i = random.nextInt(4); i > 0; i--) {
                    object.set(word(random), random(random, depth + 1));
                }
                yield object;
            }
            default -> {
                ArrayNode array = JSON.arrayNode();
                for (int i = random.nextInt(4); i > 0; i--) {
                    array.add(random(random, depth + 1));
                }
                yield array;
            }
        };
    }

    private static String word(Random random) {
        return WORDS.get(random.nextInt(WORDS.size()));
    }

    @RepeatedTest(200)
    void otherReadersReadTheSame() {
        JsonNode value = random(new Random(seed), 0);
        assertThat(JsonMapper.shared().readTree(JsonText.pretty(value)))
                .as("pretty JSON of seed %d", seed)
                .isEqualTo(value);
        assertThat(JsonMapper.shared().readTree(JsonText.compact(value)))
                .as("compact JSON of seed %d", seed)
                .isEqualTo(value);
        Object read = new Yaml(new SafeConstructor(new LoaderOptions())).load(YamlText.of(value));
        assertThat(JsonMapper.shared().<JsonNode>valueToTree(read))
                .as("YAML of seed %d:\n%s", seed, YamlText.of(value))
                .hasToString(value.toString());
    }

    @Test
    void compactTextIsOneLine() {
        JsonNode value = JsonMapper.shared().readTree("{\"a\":[1,{\"b\":\"c\\n\"}],\"d\":{}}");
        assertThat(JsonText.compact(value)).isEqualTo("{\"a\":[1,{\"b\":\"c\\n\"}],\"d\":{}}");
    }

    @Test
    void harmlessTextStaysAndRiskyTextIsEscaped() {
        assertThat(Printable.of("a~ é 😀")).isEqualTo("a~ é 😀");
        assertThat(Printable.of("\u001b\r\u200f\ud800\u2028"))
                .isEqualTo("\\u001b\\u000d\\u200f\\ud800\\u2028");
    }

    @Test
    void columnsAlignByCharactersNotByCodeUnits() {
        Table table =
                new Table(
                        List.of(Column.of("A", "/a"), Column.of("B", "/b").atRight()),
                        false,
                        false);
        List<JsonNode> items =
                List.of(
                        JSON.objectNode().put("a", "😀é").put("b", 1),
                        JSON.objectNode().put("a", "abcd").put("b", 100));
        assertThat(table.lines(items)).containsExactly("A       B", "😀é      1", "abcd  100");
    }

    @Test
    void sizesAndDurationsReadWell() {
        assertThat(Units.bytes(0)).isEqualTo("0 B");
        assertThat(Units.bytes(1536)).isEqualTo("1.5 KiB");
        assertThat(Units.bytes(Long.MAX_VALUE)).isEqualTo("8 EiB");
        assertThat(Units.bytes(-1)).isEqualTo("-1 B");
        assertThat(Units.pages(16384)).isEqualTo("64 MiB");
        assertThat(Units.pages(Long.MAX_VALUE)).isEqualTo("9223372036854775807 pages");
        assertThat(Units.tenths(2.25)).isEqualTo("2.3");
        assertThat(Units.tenths(Double.POSITIVE_INFINITY)).isEqualTo("-");
        assertThat(Units.duration("250ms")).contains(Duration.ofMillis(250));
        assertThat(Units.duration("2h")).contains(Duration.ofHours(2));
        assertThat(Units.duration("2")).isEmpty();
        assertThat(Units.duration("99999999999s")).isEmpty();
        assertThat(Units.text(Duration.ofMillis(1500))).isEqualTo("1500ms");
        assertThat(Units.text(Duration.ofMinutes(1))).isEqualTo("60s");
    }
}
