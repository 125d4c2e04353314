package dev.mdev.host;

import static dev.mdev.host.ReadmeTour.withoutWhatVaries;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

import java.util.List;

/// Runs the commands of the README's tour, in order, and compares what they print with what the
/// README says they print.
@Tag("slow")
class ReadmeTourTest extends HostTest {
    @Test
    void theTourPrintsWhatTheReadmeSays() throws Exception {
        ReadmeTour.assumeCommands();
        List<ReadmeTour.Step> steps =
                ReadmeTour.blocks("A tour of five minutes").stream()
                        .flatMap(block -> ReadmeTour.steps(block).stream())
                        .toList();
        assertThat(steps).hasSizeGreaterThan(8);
        for (ReadmeTour.Step step : steps) {
            String printed =
                    ReadmeTour.run(step.command().replace("127.0.0.1:8080", "127.0.0.1:" + port()));
            assertThat(withoutWhatVaries(printed))
                    .as(step.command())
                    .isEqualTo(withoutWhatVaries(step.output()));
        }
    }
}
