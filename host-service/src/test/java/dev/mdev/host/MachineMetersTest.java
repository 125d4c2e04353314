package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

/// What the metrics say of each machine.
@TestPropertySource(properties = {"mdev.access.authentication=none", "mdev.driver-deadline=60s"})
class MachineMetersTest extends HostTest {
    private static final String CPU = "mdevhost_machine_cpu_seconds_total{machine=\"vm1\"} ";
    private static final String RAM = "mdevhost_machine_ram_bytes{machine=\"vm1\"} ";

    private double value(String metric) {
        return api.get("/actuator/prometheus")
                .requireStatus(200)
                .text()
                .lines()
                .filter(line -> line.startsWith(metric))
                .mapToDouble(line -> Double.parseDouble(line.substring(metric.length())))
                .findFirst()
                .orElse(Double.NaN);
    }

    @Test
    void theyHaveItsProcessorTimeAndItsRamUntilItEnds() {
        api.createMachine("vm1");
        double before = value(CPU);
        api.run(
                        "vm1",
                        "{\"steps\":[{\"op\":\"fill\",\"at\":{\"gpa\":0},\"bytes\":1048576,"
                                + "\"value\":\"0x55\"}]}")
                .requireStatus(200);

        assertThat(value(CPU)).isGreaterThan(before);
        assertThat(value(RAM)).isEqualTo(1 << 20);

        api.delete("/api/v1/machines/vm1").requireStatus(204);

        assertThat(value(CPU)).isNaN();
        assertThat(value(RAM)).isNaN();
    }
}
