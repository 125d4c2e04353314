package dev.mdev.host.mdev;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Attribute;
import dev.mdev.api.MdevException;
import dev.mdev.core.ledger.MdevDefinition;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.List;
import java.util.UUID;

/// Files of mdevctl, good and malformed.
class MdevctlFileTest {
    private static final UUID ONE = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final String PATH = "0000:00:02.0/" + ONE;

    private static MdevctlFile.Parsed parse(String text) {
        return new MdevctlFile(PATH, text).parse();
    }

    @Test
    void attributesKeepTheirOrderAndTheirDuplicates() {
        MdevctlFile.Parsed parsed =
                parse(
                        "{\"mdev_type\":\"vfio_ap-passthrough\",\"start\":\"auto\",\"attrs\":["
                                + "{\"assign_adapter\":\"5\"},{\"assign_domain\":\"0xab\"},"
                                + "{\"assign_adapter\":\"6\"}]}");

        assertThat(parsed.uuid()).isEqualTo(ONE);
        assertThat(parsed.parent()).isEqualTo("0000:00:02.0");
        assertThat(parsed.type()).isEqualTo("vfio_ap-passthrough");
        assertThat(parsed.autostart()).isTrue();
        assertThat(parsed.attributes())
                .containsExactly(
                        new Attribute("assign_adapter", "5"),
                        new Attribute("assign_domain", "0xab"),
                        new Attribute("assign_adapter", "6"));
    }

    @Test
    void anyStartButAutoIsManualAndAttributesMayBeMissing() {
        MdevctlFile.Parsed parsed = parse("{\"start\":\"never\",\"mdev_type\":\"H3 1G\"}\n\n");

        assertThat(parsed.autostart()).isFalse();
        assertThat(parsed.type()).isEqualTo("H3 1G");
        assertThat(parsed.attributes()).isEmpty();
        assertThat(parse("{\"start\":1,\"mdev_type\":\"t\"}").autostart()).isFalse();
    }

    /// As mdevctl 1.4.0 reads them.
    @Test
    void theLastOfTwoFieldsCountsAndAttributesMayBeNull() {
        MdevctlFile.Parsed parsed =
                parse(
                        "{\"mdev_type\":\"t\",\"mdev_type\":\"u\",\"start\":\"auto\",\"attrs\":null}");

        assertThat(parsed.type()).isEqualTo("u");
        assertThat(parsed.attributes()).isEmpty();
        assertThat(
                        parse(
                                        "{\"mdev_type\":\"t\",\"start\":\"auto\","
                                                + "\"attrs\":[{\"a\":\"1\",\"a\":\"2\"}]}")
                                .attributes())
                .containsExactly(new Attribute("a", "2"));
    }

    @Test
    void aDefinitionComesBackFromItsFile() {
        MdevDefinition definition =
                new MdevDefinition(
                        ONE,
                        "mtty",
                        "mtty-1",
                        true,
                        List.of(
                                new Attribute("vendor/a", "ä \"quoted\" \\"),
                                new Attribute("b", ""),
                                new Attribute("vendor/a", "2")));

        MdevctlFile file = MdevctlFile.of(definition);

        assertThat(file.path()).isEqualTo("mtty/" + ONE);
        MdevctlFile.Parsed parsed = file.parse();
        assertThat(
                        new MdevDefinition(
                                parsed.uuid(),
                                parsed.parent(),
                                parsed.type(),
                                parsed.autostart(),
                                parsed.attributes()))
                .isEqualTo(definition);
        assertThat(MdevctlFile.of(new MdevDefinition(ONE, "mtty", "mtty-1", false)).text())
                .isEqualToIgnoringWhitespace(
                        "{\"mdev_type\":\"mtty-1\",\"start\":\"manual\",\"attrs\":[]}");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "``                                                    | not a JSON object",
                "{                                                     | not JSON at line 1",
                "[]                                                    | not a JSON object",
                "{\"mdev_type\":\"t\",\"start\":\"auto\"} x            | not JSON",
                "{\"start\":\"auto\"}                                  | mdev_type is missing",
                "{\"mdev_type\":\"t\"}                                 | start is missing",
                "{\"mdev_type\":7,\"start\":\"auto\"}                  | mdev_type is not a text",
                "{\"mdev_type\":\"t\",\"start\":null}                  | start is missing",
                "{\"mdev_type\":\"t\",\"start\":\"auto\",\"stop\":1}   | unknown field: stop",
                "{\"mdev_type\":\"t\",\"start\":\"auto\",\"attrs\":{}} | attrs is not a list",
                "{\"mdev_type\":\"t\",\"start\":\"auto\",\"attrs\":[[]]} | attrs/0 is not an"
                        + " object",
                "{\"mdev_type\":\"t\",\"start\":\"auto\",\"attrs\":[{\"a\":\"1\"},{}]} | attrs/1 is"
                        + " not",
                "{\"mdev_type\":\"t\",\"start\":\"auto\",\"attrs\":[{\"a\":1}]} | attrs/0: the"
                        + " value",
                "{\"mdev_type\":\"t\",\"start\":\"auto\",\"attrs\":[{\"../x\":\"1\"}]} | attribute:"
                        + " ../x",
                "{\"mdev_type\":\"t\",\"start\":\"auto\",\"attrs\":[{\"a\":\"1\\n\"}]} | control",
                "{\"mdev_type\":\"t\",\"start\":\"auto\",\"attrs\":[{\"a\":\"\\ud800\"}]} |"
                        + " unpaired surrogate",
            })
    void aMalformedFileSaysWhatIsWrong(String text, String reason) {
        assertThatThrownBy(() -> parse(text))
                .isInstanceOf(MdevException.class)
                .hasMessageContaining(reason);
    }

    @Test
    void aTextThatExceedsTheParserIsMalformedToo() {
        for (String text :
                List.of(
                        "[".repeat(100_000),
                        "{\"mdev_type\":" + "[".repeat(100_000),
                        "{\"start\":" + "1".repeat(100_000) + "}",
                        "{\"" + "a".repeat(100_000) + "\":1}")) {
            assertThatThrownBy(() -> parse(text))
                    .isInstanceOf(MdevException.class)
                    .hasMessageStartingWith("not JSON");
        }
    }

    @ParameterizedTest
    @CsvSource({
        "mtty",
        "/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
        "mtty/x",
        "mtty/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001.json",
        "mtty/1-1-1-1-1"
    })
    void aPathThatIsNoParentAndUuidIsRefused(String path) {
        assertThatThrownBy(() -> new MdevctlFile(path, "{}").parse())
                .isInstanceOf(MdevException.class)
                .hasMessageContaining("PARENT/UUID");
    }
}
