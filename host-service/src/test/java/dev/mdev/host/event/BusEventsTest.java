package dev.mdev.host.event;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.driver.CallReport;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BusEventsTest {
    @ParameterizedTest
    @CsvSource({
        "mdev=6f1b, mdevs/6f1b",
        "parent=gpu0, parents/gpu0",
        "driver=gpu-sample, drivers/gpu-sample",
        "aperture of parent=gpu0, parents/gpu0",
    })
    void theSubjectOfACallbackIsWhatClientsCallIt(String owner, String subject) {
        CallReport report = new CallReport(owner, "clear", 1_000_000, "main", true);
        assertThat(BusEvents.subjectOf(report)).isEqualTo(subject);
    }
}
