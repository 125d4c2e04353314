package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.UUID;

/// An operator's reset of a device in a machine.
class DeviceResetTest extends HostTest {
    private static final String STEP =
            """
            {"steps":[{"op":"%s","at":{"mdev":"%s","bar":0},"count":8,"stride":4096,"value":%d}]}\
            """;

    @Test
    void theGuestGoesOnWithADeviceInItsFirstState() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        String bars = api.get("/api/v1/machines/vm1").body().at("/devices/0/bars").toString();
        api.run("vm1", STEP.formatted("write", mdev, 7)).requireStatus(200);

        api.post("/api/v1/mdevs/%s/reset".formatted(mdev), "").requireStatus(204);

        assertThat(api.get("/api/v1/machines/vm1").body().at("/devices/0/bars").toString())
                .isEqualTo(bars);
        Answer after = api.run("vm1", STEP.formatted("check", mdev, 0)).requireStatus(200);
        assertThat(after.at("/end")).isEqualTo("completed");
        assertThat(after.numberAt("/steps/0/mismatches")).isZero();
        assertThat(after.numberAt("/steps/0/unassigned")).isZero();
        assertThat(after.numberAt("/devices/0/faults")).isEqualTo(8);
    }
}
