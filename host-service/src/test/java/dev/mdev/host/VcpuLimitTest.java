package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/// The limit of processors of all machines together, which is 64.
class VcpuLimitTest extends HostTest {
    private Answer create(String name, int vcpus) {
        return api.post(
                "/api/v1/machines",
                "{\"name\":\"%s\",\"ramMib\":1,\"vcpus\":%d}".formatted(name, vcpus));
    }

    @Test
    void aMachineWhoseProcessorsDoNotFitIsRefusedUntilOthersAreGone() {
        create("most", 60).requireStatus(201);

        Answer refused = create("more", 5);

        refused.requireProblem(409, "no-capacity");
        assertThat(refused.at("/detail")).contains("vcpus=5 do not fit, 4 are free");
        create("rest", 4).requireStatus(201);
        api.delete("/api/v1/machines/most").requireStatus(204);
        create("more", 5).requireStatus(201);
    }
}
