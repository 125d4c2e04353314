package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.TestPropertySource;

import java.util.List;

/// What Prometheus reads of parents, from the start on.
@TestPropertySource(properties = "mdev.drivers.gpu-sample.count=2")
@DirtiesContext
class ParentMetersTest extends HostTest {
    private List<String> scrape() {
        return api.get("/actuator/prometheus").requireStatus(200).text().lines().toList();
    }

    private List<String> scrapeOfGpu1() {
        return scrape().stream()
                .filter(line -> line.contains("parent=\"gpu1\""))
                .map(line -> line.substring(0, line.indexOf('}') + 1))
                .sorted()
                .toList();
    }

    /// An alert about the increase of a counter misses the first event if the series begins with
    /// it.
    @Test
    void countersThatHaveCountedNothingAreAtZero() {
        assertThat(scrape())
                .contains(
                        "mdevhost_scrubbed_bytes_total{parent=\"gpu1\"} 0.0",
                        "mdevhost_scrub_failed_pages_total{parent=\"gpu1\"} 0.0",
                        "mdevhost_machine_save_stop_seconds_count 0")
                .anyMatch(line ->
                        line.startsWith("mdevhost_parent_pool_moves_total{parent=\"gpu1\"")
                                && line.endsWith(" 0.0"));
        api.createMdev("gpu0", "gpu-sample-16m");
        assertThat(scrape())
                .anyMatch(line ->
                        line.startsWith(
                                "mdevhost_driver_slow_callbacks_total{callback=\"probe\",finished=\"false\"}"))
                .anyMatch(line ->
                        line.startsWith(
                                "mdevhost_driver_slow_callbacks_total{callback=\"regions\",finished=\"true\"}"));
    }

    @Test
    void theSeriesOfAParentGoAndComeBackWithIt() {
        List<String> before = scrapeOfGpu1();
        assertThat(before).hasSizeGreaterThan(10);
        api.delete("/api/v1/parents/gpu1").requireStatus(204);
        assertThat(scrapeOfGpu1()).isEmpty();

        api.post("/api/v1/parents", "{\"driver\":\"gpu-sample\"}").requireStatus(200);

        assertThat(scrapeOfGpu1()).isEqualTo(before);
    }
}
