package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UsageTest {
    @ParameterizedTest
    @ValueSource(strings = {"--help", "-h"})
    void helpNamesTheMostUsedSettings(String option) {
        String help = Usage.answerTo(new String[] {"--server.port=1", option}).orElseThrow();
        assertThat(help)
                .startsWith("usage: mdev-host ")
                .contains("--mdev.state-dir=", "--server.port=")
                .endsWith("\n");
        assertThat(help.lines()).allMatch(line -> line.length() <= 90);
    }

    @Test
    void theVersionHasThatOfJava() {
        assertThat(Usage.answerTo(new String[] {"--version"}).orElseThrow())
                .matches("mdev-host .+\\RJava " + Runtime.version().feature() + ".*\\R");
    }

    @Test
    void withoutSuchAnOptionTheServiceStarts() {
        assertThat(Usage.answerTo(new String[] {})).isEmpty();
        assertThat(Usage.answerTo(new String[] {"--mdev.engine=kvm", "help"})).isEmpty();
    }
}
