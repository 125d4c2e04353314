package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.UUID;

/// What Prometheus reads.
class MetersTest extends HostTest {
    @Test
    void faultsLatencyAndResidentPagesAreThere() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-64m");
        api.createMachine("vm1", mdev);
        api.run(
                        "vm1",
                        """
                        {"steps":[{"op":"write","at":{"mdev":"%s","bar":0},"count":64,"stride":4096}]}\
                        """
                                .formatted(mdev))
                .requireStatus(200);

        List<String> lines = scrape();
        assertThat(lines)
                .contains(
                        "mdevhost_mdev_resident_pages{region=\"0\",uuid=\"%s\"} 64.0"
                                .formatted(mdev))
                .contains(
                        "mdevhost_faults_total{outcome=\"granted\",prefetched=\"false\",region=\"0\",uuid=\"%s\"} 64.0"
                                .formatted(mdev))
                .contains(
                        "mdevhost_faults_total{outcome=\"refused\",prefetched=\"false\",region=\"0\",uuid=\"%s\"} 0.0"
                                .formatted(mdev))
                .contains("mdevhost_machines 1.0")
                .contains("mdevhost_type_available{parent=\"gpu0\",type=\"gpu-sample-64m\"} 3.0")
                .contains(
                        "mdevhost_parent_pool_pages{parent=\"gpu0\",pool=\"vram\",state=\"free\"}"
                                + " 49152.0");
        assertThat(lines)
                .anyMatch(line ->
                        line.startsWith(
                                "mdevhost_fault_duration_seconds_bucket{outcome=\"granted\",le=\"1.0E-5\"}"))
                .anyMatch(line ->
                        line.startsWith(
                                "mdevhost_driver_callback_duration_seconds_count{callback=\"validateMapRequest\",driver=\"gpu-sample\"}"));
    }

    @Test
    void theSeriesOfADeviceEndWithIt() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        assertThat(scrape()).anyMatch(line -> line.contains(mdev.toString()));
        api.delete("/api/v1/mdevs/" + mdev).requireStatus(204);
        assertThat(scrape()).noneMatch(line -> line.contains(mdev.toString()));
    }

    @Test
    void healthHasLivenessAndReadiness() {
        assertThat(api.get("/actuator/health/liveness").at("/status")).isEqualTo("UP");
        assertThat(api.get("/actuator/health/readiness").at("/status")).isEqualTo("UP");
    }

    private List<String> scrape() {
        return api.get("/actuator/prometheus").requireStatus(200).text().lines().toList();
    }
}
