package dev.mdev.core.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.LinkedHashMap;
import java.util.Map;

class JournalLineTest {
    @Test
    void whatIsWrittenIsReadBackWhateverTheText() {
        Seeded.run(
                500,
                random -> {
                    Map<String, String> values = new LinkedHashMap<>();
                    int count = random.nextInt(5);
                    for (int i = 0; i < count; i++) {
                        StringBuilder text = new StringBuilder();
                        int length = random.nextInt(12);
                        for (int c = 0; c < length; c++) {
                            int point = random.nextInt(random.nextBoolean() ? 0x80 : 0x1_1000);
                            text.appendCodePoint(point >= 0xd800 && point < 0xe000 ? '?' : point);
                        }
                        values.put("v" + i, text.toString());
                    }
                    JournalLine fields = new JournalLine("kind", values);

                    String line = fields.encode();

                    assertThat(line).matches("[!-~]+( [!-~]+)*");
                    assertThat(JournalLine.decode(line)).isEqualTo(fields);
                });
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "Kind",
                "kind ",
                "kind  a=1",
                "kind a",
                "kind =1",
                "kind a=1 a=2",
                "kind a=%",
                "kind a=%4",
                "kind a=%zz",
                "kind a=%41",
                "kind a=%FF",
                "kind a=%c3",
                "kind a=b c",
                "kind a=é",
                "kind A=1"
            })
    void whatIsNotTheOneWayToWriteALineIsRefused(String line) {
        assertThatThrownBy(() -> JournalLine.decode(line))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
    }

    @Test
    void numbersAreDecimalFromZeroUpAndNothingElse() {
        JournalLine fields =
                JournalLine.of("kind")
                        .with("zero", 0)
                        .with("large", Long.MAX_VALUE)
                        .with("minus", -1)
                        .with("padded", "01")
                        .with("words", "ten");

        assertThat(fields.number("zero")).isZero();
        assertThat(fields.number("large")).isEqualTo(Long.MAX_VALUE);
        assertThatThrownBy(() -> fields.number("minus")).hasMessageContaining("minus=-1");
        assertThatThrownBy(() -> fields.number("padded")).hasMessageContaining("padded=01");
        assertThatThrownBy(() -> fields.number("words")).hasMessageContaining("words=ten");
        assertThatThrownBy(() -> fields.number("none")).hasMessageContaining("has no none");
    }
}
