package dev.mdev.cli.terminal;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SttyTest {
    @Test
    void aTerminalHasRowsAndColumns() {
        assertThat(Stty.rowsOf("24 80\n")).hasValue(24);
    }

    /// A serial line has the size 0 0.
    @ParameterizedTest
    @ValueSource(strings = {"", "0 0\n", "24", "many 80", "999999 80", "-1 80"})
    void anythingElseIsNoSize(String printed) {
        assertThat(Stty.rowsOf(printed)).isEmpty();
    }
}
