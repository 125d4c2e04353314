package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import tools.jackson.databind.JsonNode;

/// What the doctor says of engines and of machines of other processes.
class DoctorTest extends HostTest {
    @Test
    void whatWorksIsAvailableAndWhatDoesNotHasARemedy() {
        JsonNode report = api.get("/api/v1/doctor").requireStatus(200).body();

        requireSense(report.at("/barFiles"));
        assertThat(report.at("/engines").size()).isEqualTo(2);
        report.at("/engines").forEach(DoctorTest::requireSense);
    }

    private static void requireSense(JsonNode probe) {
        boolean available = true;
        for (JsonNode finding : probe.at("/findings")) {
            boolean met = finding.at("/met").asBoolean();
            available &= met;
            assertThat(finding.at("/remedy").asString().isEmpty())
                    .as(finding.toString())
                    .isEqualTo(met);
        }
        assertThat(probe.at("/findings").size()).isPositive();
        assertThat(probe.at("/available").asBoolean()).isEqualTo(available);
    }
}
