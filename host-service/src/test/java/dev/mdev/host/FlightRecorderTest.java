package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;

/// Faults in a recording of the JDK's Flight Recorder.
class FlightRecorderTest extends HostTest {
    private static final String EVENT = "dev.mdev.Fault";

    @TempDir Path folder;

    private List<RecordedEvent> record(boolean enabled, UUID... devices) throws IOException {
        Path file = folder.resolve("faults.jfr");
        try (Recording recording = new Recording()) {
            if (enabled) {
                recording.enable(EVENT);
            } else {
                recording.disable(EVENT);
            }
            recording.start();
            for (UUID mdev : devices) {
                api.run(
                                "vm1",
                                """
                                {"steps":[{"op":"write","at":{"mdev":"%s","bar":0,"offset":"0x3000"}}]}\
                                """
                                        .formatted(mdev))
                        .requireStatus(200);
            }
            recording.stop();
            recording.dump(file);
        }
        return RecordingFile.readAllEvents(file).stream()
                .filter(event -> event.getEventType().getName().equals(EVENT))
                .toList();
    }

    @Test
    void eachFaultIsAnEventWithItsRequestAndItsAnswer() throws IOException {
        UUID good = api.createMdev("gpu0", "gpu-sample-16m");
        UUID bad = api.createMdev("hostile", "throws-anything");
        api.createMachine("vm1", good, bad);

        List<RecordedEvent> events = record(true, good, bad);

        assertThat(events).hasSize(2);
        RecordedEvent granted = of(good, events);
        assertThat(granted.getString("parent")).isEqualTo("gpu0");
        assertThat(granted.getInt("region")).isZero();
        assertThat(granted.getLong("page")).isEqualTo(3);
        assertThat(granted.getString("access")).isEqualTo("write");
        assertThat(granted.getString("reason")).isEqualTo("first_touch");
        assertThat(granted.getString("outcome")).isEqualTo("granted");
        assertThat(granted.getString("answer")).startsWith("grant pages [3, 4)");
        assertThat(granted.getDuration("driverTime")).isPositive();
        RecordedEvent failed = of(bad, events);
        assertThat(failed.getString("outcome")).isEqualTo("failed");
        assertThat(failed.getString("answer")).contains("a bug");
    }

    /// A recording has the events of each thread in their order, and the threads in any.
    private static RecordedEvent of(UUID mdev, List<RecordedEvent> events) {
        return events.stream()
                .filter(event -> event.getString("uuid").equals(mdev.toString()))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void aRecordingWithoutFaultsHasNone() throws IOException {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);

        assertThat(record(false, mdev)).isEmpty();
    }
}
