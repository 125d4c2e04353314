package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

import java.util.UUID;

/// With a driver that lets the host ask for more than the accessed page, a sweep costs few
/// requests, and random accesses cost as many as without.
@TestPropertySource(properties = "mdev.drivers.gpu-sample.ahead-pages=64")
@Tag("slow")
class MappingAheadTest extends HostTest {
    private static final String WRITE =
            """
            {"steps":[{"op":"write","at":{"mdev":"%s","bar":0},"count":64,"stride":%d}]}\
            """;

    /// 1, 2, 4, 8, 16, 32, and 64 from page 63 on.
    @Test
    void sixtyFourPagesInOrderAreSevenFaults() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-64m");
        api.createMachine("vm1", mdev);
        Answer written = api.run("vm1", WRITE.formatted(mdev, 4096)).requireStatus(200);
        assertThat(written.numberAt("/devices/0/faults")).isEqualTo(7);
        assertThat(written.numberAt("/devices/0/residentPages")).isEqualTo(63 + 64);
    }

    @Test
    void sixtyFourPagesFarApartAreSixtyFourFaultsAndNoPageMore() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-64m");
        api.createMachine("vm1", mdev);
        Answer written = api.run("vm1", WRITE.formatted(mdev, 1 << 20)).requireStatus(200);
        assertThat(written.numberAt("/devices/0/faults")).isEqualTo(64);
        assertThat(written.numberAt("/devices/0/residentPages")).isEqualTo(64);
    }
}
