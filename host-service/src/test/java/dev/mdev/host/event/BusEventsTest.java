package dev.mdev.host.event;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.ReportLevel;
import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.store.MemoryFiles;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.time.Instant;

class BusEventsTest {
    @Test
    void aReportOfAParentIsAnEventOfItWithItsLevel() {
        EventLog events = new EventLog(new MemoryFiles());

        new BusEvents(events)
                .event(
                        new MdevEvent(
                                1,
                                Instant.EPOCH,
                                new MdevEvent.ParentReported(
                                        "card0", ReportLevel.WARNING, "it interrupts no more")));

        assertThat(events.after(EventCursor.parse("0"), EventLog.KEPT, _ -> true).items())
                .singleElement()
                .satisfies(event -> {
                    assertThat(event.kind()).isEqualTo(Event.Kind.DRIVER_REPORT);
                    assertThat(event.subject()).isEqualTo("parents/card0");
                    assertThat(event.detail()).isEqualTo("warning: it interrupts no more");
                });
    }

    @ParameterizedTest
    @CsvSource({
        "mdev=6f1b, mdevs/6f1b",
        "parent=gpu0, parents/gpu0",
        "driver=gpu-sample, drivers/gpu-sample",
        "aperture of parent=gpu0, parents/gpu0",
    })
    void theSubjectOfACallbackIsWhatClientsCallIt(String owner, String subject) {
        CallReport report = new CallReport(owner, "clear", 1_000_000, Thread.currentThread(), true);
        assertThat(BusEvents.subjectOf(report)).isEqualTo(subject);
    }
}
