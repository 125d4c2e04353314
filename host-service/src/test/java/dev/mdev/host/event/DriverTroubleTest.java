package dev.mdev.host.event;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.driver.CallReport;
import dev.mdev.core.store.MemoryFiles;

import org.junit.jupiter.api.Test;

import java.util.stream.IntStream;

class DriverTroubleTest {
    private final EventLog events = new EventLog(new MemoryFiles());
    private final DriverTrouble trouble = new DriverTrouble(events);

    private void slow(String owner) {
        trouble.slowCallback(
                new CallReport(owner, "regions", 1_000_000, Thread.currentThread(), true));
    }

    /// Devices that were never created, and devices that are gone, do not report that.
    @Test
    void subjectsOfSlowCallbacksAreForgottenWhenThereAreTooMany() {
        slow("mdev=first");
        IntStream.range(0, DriverTrouble.MAX_SLOW).forEach(i -> slow("mdev=" + i));
        slow("mdev=first");

        assertThat(events.newest().id())
                .as("each was new to it, also the first when it came again")
                .isEqualTo(DriverTrouble.MAX_SLOW + 2);
    }
}
