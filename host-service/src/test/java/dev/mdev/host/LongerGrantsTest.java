package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

import java.util.UUID;

/// With a driver that grants longer ranges, the same pages cost fewer requests.
@TestPropertySource(properties = "mdev.drivers.gpu-sample.grant-pages=16")
@Tag("slow")
class LongerGrantsTest extends HostTest {
    @Test
    void sixtyFourPagesAreFourFaults() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-64m");
        api.createMachine("vm1", mdev);
        Answer written =
                api.run(
                                "vm1",
                                """
                                {"steps":[{"op":"write","at":{"mdev":"%s","bar":0},"count":64,"stride":4096}]}\
                                """
                                        .formatted(mdev))
                        .requireStatus(200);
        assertThat(written.numberAt("/devices/0/faults")).isEqualTo(4);
        assertThat(written.numberAt("/devices/0/residentPages")).isEqualTo(64);
    }
}
