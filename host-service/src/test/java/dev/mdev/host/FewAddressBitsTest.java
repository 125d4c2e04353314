package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

import java.util.UUID;

/// A machine on a processor with few address bits.
@TestPropertySource(
        properties = {
            "mdev.engine=software",
            "mdev.software.physical-address-bits=36",
            "mdev.software.two-dimensional-paging=true"
        })
@Tag("slow")
class FewAddressBitsTest extends HostTest {
    @Test
    void itsDevicesAreWhereTheGuestReachesThem() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);

        Answer machine = api.get("/api/v1/machines/vm1").requireStatus(200);

        assertThat(address(machine, "/ecamGpa")).isBetween(1L << 35, (1L << 36) - 1);
        assertThat(address(machine, "/devices/0/bars/0/gpa")).isEqualTo(1L << 35);
        Answer result =
                api.run(
                        "vm1",
                        """
                        {"steps":[
                          {"op":"write","at":{"mdev":"%1$s","bar":0},"value":"0x77"},
                          {"op":"read","at":{"gpa":"0x800000000"}}]}
                        """
                                .formatted(mdev));
        assertThat(result.at("/steps/1/values/0")).isEqualTo("0x77");
    }

    private static long address(Answer machine, String path) {
        return Long.decode(machine.at(path));
    }
}
