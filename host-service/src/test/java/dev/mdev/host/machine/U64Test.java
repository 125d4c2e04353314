package dev.mdev.host.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class U64Test {
    @ParameterizedTest
    @CsvSource({
        "0, 0x0",
        "10, 0xa",
        "0x10, 0x10",
        "0XfF, 0xff",
        "18446744073709551615, 0xffffffffffffffff",
        "0xffffffffffffffff, 0xffffffffffffffff",
        "0x00000000000000000001, 0x1",
    })
    void aNumberIsReadAndWritten(String text, String written) {
        assertThat(U64.parse(text)).hasToString(written);
        assertThat(U64.parse(written)).isEqualTo(U64.parse(text));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", " 1", "-1", "+1", "0x", "0x+1", "0x-1", "1.0", "18446744073709551616"})
    void whatIsNoNumberIsRefused(String text) {
        assertThatThrownBy(() -> U64.parse(text)).isInstanceOf(NumberFormatException.class);
    }

    @Test
    void aVeryLongTextIsRefusedUnread() {
        assertThatThrownBy(() -> U64.parse("0".repeat(1_000_000)))
                .isInstanceOf(NumberFormatException.class);
    }
}
